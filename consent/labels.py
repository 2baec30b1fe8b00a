"""What elements of the data schema are called when people are spoken to.

An element without a label of its own is called by its name in the schema,
which is longer but never wrong.
"""

from collections.abc import Mapping

from consent.predicates import Predicate, PredicateKind, predicate_of
from consent.statements import UNNAMED
from consent.wording import column

_LABELS: Mapping[str, tuple[str, str]] = {
    UNNAMED: ("data that the service does not name", "该服务未指明的数据"),
    "user": ("everything about you", "您的全部信息"),
    "user.name": ("your name", "姓名"),
    "user.name.given": ("given name", "名"),
    "user.name.middle": ("middle name", "中间名"),
    "user.name.family": ("family name", "姓"),
    "user.name.prefix": ("title before the name", "称谓"),
    "user.name.suffix": ("addition after the name", "姓名后缀"),
    "user.name.nickname": ("name you go by", "常用名"),
    "user.bdate": ("date of birth", "出生日期"),
    "user.gender": ("gender", "性别"),
    "user.employer": ("employer", "工作单位"),
    "user.department": ("department", "部门"),
    "user.jobtitle": ("job title", "职务"),
    "user.home-info": ("home address and contact", "家庭住址及联系方式"),
    "user.home-info.postal": ("home address", "家庭住址"),
    "user.home-info.postal.street": ("street and number", "街道门牌"),
    "user.home-info.postal.city": ("city", "城市"),
    "user.home-info.postal.stateprov": ("state or province", "省或州"),
    "user.home-info.postal.postalcode": ("postal code", "邮政编码"),
    "user.home-info.postal.country": ("country", "国家"),
    "user.home-info.postal.organization": ("organization", "单位名称"),
    "user.home-info.online.uri": ("web address", "个人网址"),
    "user.home-info.telecom": ("telephone and fax", "电话及传真"),
    "user.home-info.telecom.fax": ("fax number", "传真号码"),
    "user.business-info.postal.street": (
        "street and number at work",
        "工作街道门牌",
    ),
    "user.business-info.postal.city": ("city at work", "工作城市"),
    "user.business-info.postal.stateprov": (
        "state or province at work",
        "工作省或州",
    ),
    "user.business-info.postal.postalcode": (
        "postal code at work",
        "工作邮政编码",
    ),
    "user.business-info.postal.country": ("country at work", "工作国家"),
    "user.business-info.online.email": ("work email", "工作邮箱"),
    "user.business-info.telecom.telephone": (
        "work telephone",
        "工作电话",
    ),
    "user.home-info.online.email": ("email address", "电子邮箱"),
    "user.home-info.telecom.telephone": ("home telephone", "家庭电话"),
    "user.home-info.telecom.mobile": ("mobile number", "手机号码"),
    "user.home-info.telecom.telephone.number": (
        "home telephone number",
        "家庭电话号码",
    ),
    "user.home-info.telecom.mobile.number": (
        "mobile number",
        "手机号码",
    ),
    "user.business-info": ("work address and contact", "工作联系信息"),
    "user.age": ("age", "年龄"),
    "user.marital-status": ("marital status", "婚姻状况"),
    "user.education": ("education", "受教育程度"),
    "user.nationality": ("nationality", "国籍"),
    "user.workclass": ("class of employment", "就业类别"),
    "user.occupation": ("occupation", "职业"),
    "user.race": ("ethnic origin", "族裔"),
    "user.religion": ("religion", "宗教信仰"),
    "user.identity.number": ("identity number", "身份证件号码"),
    "user.identity.passport": ("passport number", "护照号码"),
    "user.tax.number": ("tax number", "纳税人识别号"),
    "user.vehicle.registration": ("vehicle registration", "车辆登记号"),
    "user.income.annual": ("annual income", "年收入"),
    "user.income.source": ("source of income", "收入来源"),
    "user.salary-class": ("salary class", "工资等级"),
    "user.bank.account": ("bank account", "银行账户"),
    "user.benefit.status": ("benefit status", "福利状态"),
    "user.benefit.kind": ("kind of benefit", "福利种类"),
    "user.benefit.amount": ("amount of benefit", "福利金额"),
    "user.pension.status": ("pension status", "养老金状态"),
    "user.property.address": ("address of property", "房产地址"),
    "user.property.value": ("value of property", "房产价值"),
    "user.household.size": ("household size", "家庭人口"),
    "user.household.role": ("role in the household", "家庭角色"),
    "user.life-event": ("life event", "人生大事"),
    "user.case.status": ("case status", "案件状态"),
    "user.case.note": ("case notes", "案件记录"),
    "user.health.note": ("health notes", "健康记录"),
    "user.health.disability": ("disability", "残疾状况"),
    "user.language": ("language", "语言"),
    "user.interests": ("interests", "兴趣"),
    "user.identifier.phone": ("telephone of the account", "账户电话"),
    "user.identifier.email": ("email of the account", "账户邮箱"),
    "user.identifier.account": ("web account", "网上账户"),
    "user.identifier.card": ("counter card", "服务卡"),
}

# What is asked, with the parameter and what the source is called.
_QUESTIONS: Mapping[PredicateKind, tuple[str, str]] = {
    PredicateKind.AGE_OVER: (
        "whether you are {parameter} or older, without your date of birth",
        "是否已满{parameter}周岁（不提供出生日期）",
    ),
    PredicateKind.RESIDENT_IN: (
        "whether you live in {parameter} ({source}), without your address",
        "是否居住在{parameter}（{source}），不提供住址",
    ),
    PredicateKind.INCOME_BAND: (
        "annual income in bands of {parameter}, without the amount",
        "年收入所在的区间（每{parameter}为一档，不提供具体数额）",
    ),
}


def label(attribute: str, language: str) -> str:
    """Return what an element is called.

    Args:
        attribute: its name in the data schema.
        language: ``en`` or ``zh-Hans``.

    Returns:
        The label, the question of a predicate, or the name itself where
        there is none.

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    which = column(language)
    texts = _LABELS.get(attribute)
    if texts is not None:
        return texts[which]
    asked = predicate_of(attribute)
    return attribute if asked is None else _question(asked, which)


def _question(asked: Predicate, which: int) -> str:
    return _QUESTIONS[asked.kind][which].format(
        parameter=_shown(asked), source=_LABELS[asked.source][which]
    )


def _shown(asked: Predicate) -> str:
    if asked.kind is PredicateKind.RESIDENT_IN:
        return asked.parameter.upper()
    return asked.parameter
