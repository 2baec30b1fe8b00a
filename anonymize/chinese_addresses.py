"""Chinese postal addresses, which have no spaces and no fixed order.

An address is found from its end: a number and what is numbered (号, 栋, 室),
one or more times, after something that is numbered so (路, 街, 小区, 村).
From there it reaches back over Chinese characters to the nearest word that
says where somebody lives, to punctuation, or to the name of a province,
whichever is least far. A province or great city and the districts below it
are found without a number too.
"""

# ruff: noqa: SIM905 - lists of words are read more easily as text
import re
from collections.abc import Iterator

from anonymize.overlaps import Hit

ADDRESS = "ADDRESS"
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_NUMERALS = "一二三四五六七八九十百〇零甲乙丙丁东西南北"
_NUMBER = rf"(?:[0-9]{{1,5}}[A-Za-z]?|[A-Za-z]|[{_NUMERALS}]{{1,4}})"
_NUMBERED = (
    r"(?:号楼|号院|号|栋|幢|座|单元|室|层|楼|弄|组|队|门|户|房|巷|支路)"
)
_ROAD = (
    r"(?:路|街|道|巷|弄|胡同|里|村|庄|小区|花园|苑|园|公寓|大厦|广场|镇|乡|屯"
    r"|院|宿舍|新区|社区|街道|城|湾|坊|府|居|楼|大街|条)"
)
_REACH = 36
_PROVINCES = (
    "北京 天津 上海 重庆 河北 山西 辽宁 吉林 黑龙江 江苏 浙江 安徽 福建 "
    "江西 山东 河南 湖北 湖南 广东 海南 四川 贵州 云南 陕西 甘肃 青海 "
    "台湾 内蒙古 广西 西藏 宁夏 新疆 香港 澳门"
).split()
_LIVES = (
    "现住址 家庭住址 户籍地址 联系地址 通讯地址 住址 地址 现住 家住 "
    "居住在 居住于 住在 住于 位于 寄往 寄到 寄至 送到 送至 送往 搬到 "
    "搬至 迁至 迁入 来自 户籍 籍贯 前往 到达 住 在 到 至 于 是 为 往 的 "
    "了"
).split()  # fmt: skip


class ChineseAddresses:
    """Finds addresses. Holds its patterns and nothing of any text."""

    def __init__(self) -> None:
        provinces = "|".join(_PROVINCES)
        self._tail = re.compile(
            rf"{_ROAD}[{_HAN}]{{0,4}}?"
            rf"{_NUMBER}(?:-[0-9]{{1,4}}){{0,3}}{_NUMBERED}"
            rf"(?:[{_HAN}]{{0,6}}?{_NUMBER}(?:-[0-9]{{1,4}}){{0,3}}"
            rf"{_NUMBERED}){{0,5}}(?:[0-9]{{3,4}}(?![0-9]))?"
        )
        self._head = re.compile(rf"[{_HAN}0-9A-Za-z-]{{0,{_REACH}}}\Z")
        self._province = re.compile(rf"(?:{provinces})")
        self._district = re.compile(
            rf"(?:{provinces})(?:省|市|自治区|特别行政区|壮族自治区"
            rf"|回族自治区|维吾尔自治区)?"
            rf"(?:[{_HAN}]{{1,5}}?(?:市|自治州|地区|盟))?"
            rf"(?:[{_HAN}]{{1,4}}?(?:区|县|旗))"
            rf"(?:[{_HAN}]{{1,6}}?(?:街道|镇|乡))?"
            rf"(?:[{_HAN}]{{1,6}}?(?:村|社区|路|街))?"
        )

    def find(self, text: str) -> list[Hit]:
        """Return the addresses in a text in folded form.

        Args:
            text: as `folding.plain` gives it.
        """
        return [] if text.isascii() else [*self._found(text)]

    def _found(self, text: str) -> Iterator[Hit]:
        for match in self._tail.finditer(text):
            start, end = match.span()
            yield Hit(
                entity=ADDRESS,
                start=self._start(text, start),
                end=end,
                score=0.7,
            )
        for match in self._district.finditer(text):
            start, end = match.span()
            yield Hit(entity=ADDRESS, start=start, end=end, score=0.6)

    def _start(self, text: str, at: int) -> int:
        """Reach back from the road to where the address begins."""
        first = max(0, at - _REACH)
        head = self._head.search(text[first:at])
        if head is None or not head[0]:
            return at
        found = head[0]
        start = at - len(found)
        provinces = [*self._province.finditer(found)]
        if provinces:
            return start + provinces[0].start()
        cues = (found.rfind(cue) + len(cue) for cue in _LIVES if cue in found)
        return start + max(cues, default=0)
