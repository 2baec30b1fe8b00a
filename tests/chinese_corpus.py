"""Chinese sentences with names in them, made from a seed.

The names are in no list of the product. Their given names come from `RARE`,
which the lexicon has none of (a test holds that), from `BOTH`, one character
of each, or from the lexicon's own characters, which is the easy case.
Surnames are a closed class: they are drawn by how common they are.

Sentences come from templates in two halves. The rules were written while
looking at `SEEN`; `HELD_OUT` was written before and not looked at after.
`ORDINARY` has no name in it, and is full of words that begin like one.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

RARE = (
    "瀛峤堃喆翀羿玘祚彧奭昶晁旻旸昺晞暾炆煦煐燚犇猷玎珣珧"
    "璁璘甯畴皞皙眙睢瞳矞礽禛禔秾稷穀窕竺笈箬篁簌粲纮绂绛绠缃缦翥翙"
    "耘脩舸艽芾苡荇莳葭蒗蓥蔺薷藜虔蛟袆裎覃觅谙谧赓跞踪轼辂辔迩逄"
    "郯鄯酃釉铌铨锃闳阗陟隼霂靓鞅韪顼飖馡驷骎骧鸢鹄麓黼"
)
COMMON = "王李张刘陈杨赵吴周徐孙朱胡郭林罗郑梁谢宋唐韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧阳"  # noqa: E501 - one string
SEEN = (
    "来访人{n}于2021年3月到窗口登记，称其配偶{m}住院。",
    "姓名：{n}，性别女，现住本市。",
    "患者{n}因头痛三天入院，由{m}陪同。",
    "经查，{n}与{m}系邻居关系，双方因噪音发生争执。",
    "{n}表示愿意配合调查。",
    "我叫{n}，想咨询养老金的事。",
    "昨日{n}来电，要求更正登记信息。",
    "联系人{n}，请于周五前回复。",
    "民警当场将{n}带回派出所询问。",
    "申请人{n}提交了三份材料，经办人{m}已核对。",
    "{n}先生您好，您的申请已受理。",
    "请{n}女士携带证件到三号窗口。",
    "会议由{n}主持，{m}、{o}参加。",
    "据{n}反映，楼道照明已坏两周。",
    "{n}的孩子明年上小学。",
    "收件人：{n}（电话已隐去）。",
    "工作人员告知{n}需补交照片。",
    "{n}、{m}两人均已签字确认。",
    "户主{n}名下有两处房产。",
    "社工走访了{n}，其母{m}行动不便。",
)
HELD_OUT = (
    "投诉人{n}称，上月缴费后仍收到催缴短信。",
    "经与{n}核实，地址登记有误。",
    "{n}到我中心办理居住证，材料齐全。",
    "监护人{n}签字后，由护士{m}带入病房。",
    "今晨{n}再次致电，情绪较为激动。",
    "同意{n}的请求，转交{m}处理。",
    "该户有三口人，户主{n}，妻子{m}，儿子{o}。",
    "房东{n}拒绝退还押金。",
    "主诉：{n}，腹痛两日，无发热。",
    "{n}在窗口等候约一小时后离开。",
    "（签名）{n}",
    "感谢{n}同志的耐心解答！",
    "调解员询问{n}是否接受方案，{n}未表态。",
    "受托人{n}持委托书前来领取证书。",
    "老人{n}独居，每周由志愿者{m}探望。",
    "来信人{n}说，路灯至今没有修好。",
    "举报材料由{n}提供，{m}负责核查。",
    "学生{n}已转学，班主任{m}出具了证明。",
    "司机{n}驾驶的车辆与{m}的电动车相撞。",
    "通知{n}：请尽快补齐材料。",
)
ORDINARY = (
    "高速公路上的马上张贴通知，王国的国王在时间方面没有成功。",
    "请于周五前到服务大厅办理，常见问题可在网上查询。",
    "金额较大的付款应当单独申请，经理须在文件上盖章。",
    "安全管理任务由相关单位负责，方法和程序另行通知。",
    "白天的温度比夜间高，山区有雷雨，路面湿滑。",
    "国家规定，养老保险的年度缴费标准由当地确定。",
    "家庭成员信息应当如实填写，房屋面积以证书为准。",
    "公司代表应在年底前展示成果，全部费用计入成本。",
    "关于利用空间资源的要求，后续将有详细说明。",
    "居民可通过电话或网络预约，能够节省时间。",
    "双方应按约定履行义务，终止合同须提前三十天书面告知。",
    "农村地区的水费、电费由村委会代收，余额可以退还。",
    "商店门口的广告牌已经拆除，车辆可以正常通行。",
    "文化活动丰富多彩，许多居民参加了表演。",
    "如何申报所得税？请查看平台首页的说明。",
    "包括利息在内的总额为三万元，分十二期支付。",
    "解决方案明确后，项目组应于一周内报送上级部门。",
    "干部应当公正、公平、公开地处理群众的申诉。",
    "夏季用电量大，请错峰使用空调，注意节约能源。",
    "古代文献和印章在博物馆展出，参观者须遵守规定。",
)
"""Sentences without any name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A sentence and where its names stand."""

    text: str
    names: tuple[tuple[int, int], ...]


def sentences(
    templates: tuple[str, ...],
    given: tuple[str, str],
    *,
    count: int,
    seed: int,
) -> Iterator[Labelled]:
    """Fill templates with names.

    Args:
        templates: `SEEN` or `HELD_OUT`.
        given: characters for the first and for the second place of a given
            name; a third of the names have one character, of the first.
        count: how many sentences.
        seed: the same for the same sentences.
    """
    chance = random.Random(seed)  # noqa: S311 - sentences to measure on
    for number in range(count):
        template = templates[number % len(templates)]
        people = {one: _name(chance, given) for one in "nmo"}
        text, names = "", []
        for piece in template.split("{"):
            slot, brace, rest = piece.partition("}")
            if brace:
                names.append((len(text), len(text) + len(people[slot])))
                text += people[slot] + rest
            else:
                text += piece
        yield Labelled(text=text, names=tuple(names))


def _name(chance: random.Random, given: tuple[str, str]) -> str:
    at = min(int(chance.random() ** 2 * len(COMMON)), len(COMMON) - 2)
    surname = "欧阳" if COMMON[at] in "欧阳" else COMMON[at]
    first = chance.choice(given[0])
    if chance.random() < 1 / 3:
        return surname + first
    return surname + first + chance.choice(given[1])
