r"""Names, places, organizations and ages in English, by rule.

No list of names is used: what is found is capitalized, and something that
stands before or after says what it is (a title, "my name is", a label, a
verb that people do, "street", "Ltd"). Without such a cue two or three
capitalized words together are taken for a name with a low score, unless one
of them is a word of ours that is capitalized anyway.

Patterns look for letters on either side instead of ``\b``, as those of
`patterns` do, and every repetition is bounded. A deployment that has a
language model adds it as a recognizer of its own; none is downloaded.
"""

# ruff: noqa: SIM905, E501 - lists of words are read more easily as text, and
# a pattern that is one line
import re
from collections.abc import Iterable, Iterator

from anonymize.overlaps import Hit

PERSON, PLACE, ORGANIZATION = "PERSON", "LOCATION", "ORGANIZATION"
ADDRESS, AGE, DATE = "ADDRESS", "AGE", "DATE"
_LETTER = r"A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff\u1e00-\u1fff"
_UPPER = (
    r"A-Z\u00c0-\u00d6\u00d8-\u00de\u0100\u0102\u0104\u0106\u010c\u010e"
    r"\u0110\u0112\u0118\u011a\u011e\u0130\u0139\u013d\u0141\u0143\u0147"
    r"\u0150\u0152\u0158\u015a\u015e\u0160\u0162\u0164\u016e\u0170\u0178"
    r"\u0179\u017b\u017d\u0391-\u03ab\u0386\u0388-\u038f\u0400-\u042f"
)
_START = rf"(?<![{_LETTER}0-9_@.])"
_END = rf"(?![{_LETTER}0-9_@])"
_WORD = rf"[{_UPPER}][{_LETTER}'’]{{1,24}}(?:-[{_UPPER}][{_LETTER}]{{1,24}})?"
_INITIAL = rf"[{_UPPER}]\.?"
_PARTICLE = r"(?:van|von|de|der|den|del|di|da|la|le|bin|al|el|ten|zu)"
_MORE = rf"(?: (?:{_PARTICLE} ){{0,2}}(?:{_WORD}|{_INITIAL}(?= ))){{0,3}}"
_NAME = rf"(?P<value>{_WORD}{_MORE})"
_TWO = (
    rf"(?P<value>{_WORD}(?: (?:{_PARTICLE} ){{0,2}}"
    rf"(?:{_WORD}|{_INITIAL}(?= ))){{1,3}})"
)
_TITLE = (
    r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Madam|Lady|Lord|Rev|Judge"
    r"|Officer|Nurse|Captain|Sgt|ms|mr|mrs|dr)"
)
_CUE = (
    r"(?:[Mm]y name is|[Nn]ame(?: is|:)|[Nn]amed|[Cc]alled|[Cc]all me"
    r"|[Ii] am|I['’]m|i['’]m|[Tt]his is|[Hh]i|[Hh]ello|[Dd]ear|[Tt]hanks"
    r"|[Uu]ser:|[Pp]atient|[Cc]lient|[Cc]laimant|[Aa]pplicant|[Cc]aller"
    r"|[Ww]itness|[Tt]enant|[Ll]andlord|[Nn]eighbou?r|[Ee]mployee"
    r"|[Mm]other|[Ff]ather|[Ss]on|[Dd]aughter|[Bb]rother|[Ss]ister|[Kk]id"
    r"|[Cc]hild|[Ww]ife|[Hh]usband|[Pp]artner|[Ff]riend|[Cc]olleague"
    r"|[Gg]uardian|[Dd]octor|[Ff]eaturing|[Ff]eatures|features also"
    r"|(?:[Ss]poke|[Mm]et|[Tt]alked|[Ff]ollow up|[Mm]eeting) with"
    r"|[Ss]poke to|[Ss]igned(?: by)?|[Ww]ritten by|[Ss]ung by|[Bb]y"
    r"|[Tt]ribute to|[Nn]ame on the account\?|[Ll]ast name\?|[Aa]dd|[Aa]nd"
    r"|[Rr]emember me|[Gg]ender of|[Uu]nlike the|[Ff]rom the film|songwriter"
    r"|[Tt]hat|commenter|[Cc]o-singer|[Ss]inger|ex-[A-Z][a-z]{2,12}|says)"
)
_VERB = (
    r"(?:is|was|has|had|will|says|said|lives|lived|works|worked|called|wrote"
    r"|began|shouted|asked|told|came|went|moved|reported|signed|attended"
    r"|requested|needs|wants|visited|refused|agreed|explained|stated|and I"
    r"|can you|can I|could you|please|would|did|does|gave|made|met|took"
    r"|novel|concert|songs?)"
)
_STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl"
    r"|Square|Squares|Boulevard|Blvd|Terrace|Crescent|Close|Way|Walk|Grove"
    r"|Gardens|Hill|Park|Row|Mews|Parkway|Highway|Plaza|Quay|Circle|street"
    r"|Loop|Trail|Alley|Extension|Mount|Mountains?|Isle|Junction)"
)
_LINE = rf"[{_UPPER}][{_LETTER}'’.-]{{1,24}}"
_FOREIGN = (
    r"(?:ul\.|u\.|utca|ulica|út|tér|str\.?|straße|strasse|gade|vej|gatan|vägen"
    r"|rue|via|viale|calle|avenida|rua|de|du|la|le|des|del|della|do|da|dos|von"
    r"|der|van|den|of)"
)
_UNIT = (
    r"(?:Suite|Apt\.?|Apartment|Unit|Flat|Room|Floor|Box|Building|Block)"
    r" #?[0-9A-Z]{1,6}"
)
_COMPANY = (
    r"(?:Inc|Ltd|LLC|PLC|plc|GmbH|AG|Corp|Corporation|Company|Co|Group|Bank"
    r"|Partners|Holdings|Associates|University|College|School|Hospital"
    r"|Clinic|Council|Foundation|Trust|Institute|Orchestra|Limited|LLP"
    r"|Incorporated|Bros|Brothers|and Sons|& Sons|& Co|Industries|Systems"
    r"|Technologies|Solutions|Services|Consulting|Insurance|Airlines|Airways"
    r"|Pharmaceuticals|Laboratories|Motors|Capital|Ventures|Media|Press"
    r"|Society|Union|Agency|Authority|Commission|Federation|Museum|Library"
    r"|Theatre|Pharmacy|Hotel)"
)
_BUSINESS = (
    r"(?:company|firm|bank|corporation|manufacturer|retailer|business|startup"
    r"|start-up|supplier|insurer|airline|multinational|conglomerate|charity"
    r"|organi[sz]ation|agency|brand|provider|publisher|employer|contractor"
    r"|subsidiary|cooperative|consultancy|non-?profit|foundation|newspaper"
    r"|restaurant|hotel|supermarket|university|hospital|broker|carrier)"
)
_AT_WORK = (
    r"(?:(?:work|works|worked|working|interning|employed|job|career|position"
    r"|consultant|manager|director|engineer|accountant|lawyer|analyst|intern"
    r"|interview|colleagues?|staff|offices?) (?:for|at|by|with)"
    r"|(?:employees?|CEO|CFO|CTO|founder|co-founder|chairman|president|head"
    r"|owner|director|manager|headquarters|offices|customers?|subsidiary"
    r"|shares|shareholders?|branch|on behalf) of"
    r"|(?:founded|joined|acquired|bought|hired by|fired (?:by|from)|owned by"
    r"|resigned from|retired from|laid off (?:by|from)|acquired by|bought by"
    r"|sold to|invested in|invest in|merged with|account (?:with|at)"
    r"|insured (?:with|by)|contract with|loan from|the company|the firm"
    r"|company (?:called|named|is|name:)|[Ee]mployer(?: is|:)|[Cc]ompany:"
    r"|[Oo]rgani[sz]ation:))"
)
_NOT_NAMES = frozenset(
    (
        "i a an the this that these those my your his her its our their we "
        "you he she it they what who why when where how which is are was "
        "were be been do does did can could will would shall should may "
        "might must have has had not no yes and or but if then than as at "
        "by for from in into of on off out over to up with without about "
        "after again all also any because before both each few more most "
        "other some such only own same so too very just now here there once "
        "please thanks thank hello hi dear sir madam bot user excuse need "
        "want check send call find get give help let make change add remove "
        "update need note subject date time name phone mobile fax desk "
        "office email address street road avenue card credit account number "
        "bank iban atm limit monday tuesday wednesday thursday friday "
        "saturday sunday january february march april june july august "
        "september october november december labor day title act civil "
        "rights north south east west northern southern eastern western "
        "letter order form section article chapter page table figure "
        "appendix total amount unlike like during since until while "
        "although though however our god have been words capitalized "
        "question answer re fw ref id no wisdom discipline english french "
        "german chinese british american european union office department "
        "ministry council city county state united kingdom states republic "
        "court police hospital university school college company ltd inc "
        "bank group princess royal king queen prince president minister "
        "king's zip code ssn dna usa uk eu ok"
    ).split()
)
"""Words that are capitalized for another reason than being a name."""
_PLACES = frozenset(
    (
        "Afghanistan Albania Algeria Argentina Armenia Australia Austria "
        "Azerbaijan Bangladesh Belarus Belgium Bolivia Brazil Bulgaria "
        "Cambodia Cameroon Canada Chile China Colombia Croatia Cuba Cyprus "
        "Czechia Denmark Ecuador Egypt Estonia Ethiopia Finland France "
        "Georgia Germany Ghana Greece Greenland Hungary Iceland India "
        "Indonesia Iran Iraq Ireland Israel Italy Jamaica Japan Jordan "
        "Kazakhstan Kenya Kuwait Latvia Lebanon Libya Lithuania Luxembourg "
        "Malaysia Malta Mexico Moldova Mongolia Morocco Nepal Netherlands "
        "Nigeria Norway Pakistan Palestine Panama Peru Philippines Poland "
        "Portugal Qatar Romania Russia Rwanda Scotland Senegal Serbia "
        "Singapore Slovakia Slovenia Somalia Spain Sudan Sweden Switzerland "
        "Syria Taiwan Tanzania Thailand Tunisia Turkey Uganda Ukraine "
        "Uruguay Uzbekistan Venezuela Vietnam Wales Yemen Zambia Zimbabwe "
        "England London Paris Berlin Madrid Rome Vienna Beijing Shanghai "
        "Tokyo Moscow Delhi Sydney Oslo Stockholm Helsinki Copenhagen "
        "Dublin Lisbon Warsaw Prague Budapest Athens Cairo Chicago Boston "
        "Toronto"
    ).split()
)
"""Countries and great cities."""


class EnglishNames:
    """Finds names and places. Holds its patterns and nothing of any text."""

    def __init__(self) -> None:
        self._rules = [
            (entity, re.compile(pattern), score, plain)
            for entity, pattern, score, plain in _patterns()
        ]
        # Pieces without Chinese characters, which have a word in them.
        self._piece = re.compile(r"[^\u2e80-\u9fff\uf900-\ufaff]{3,}")
        self._word = re.compile(rf"[{_LETTER}][a-z\u00df-\u024f]")

    def find(self, text: str) -> list[Hit]:
        """Return what is found in a text in folded form (`folding.plain`).

        Args:
            text: the text.
        """
        hits: list[Hit] = []
        for piece in self._piece.finditer(text):
            if self._word.search(text, *piece.span()):
                hits += self._found(text, *piece.span())
        return hits

    def _found(self, text: str, first: int, last: int) -> Iterator[Hit]:
        for entity, regex, score, plain in self._rules:
            for match in regex.finditer(text, first, last):
                span = match.span("value")
                start, end = span if plain else _trimmed(text, *span)
                if start < end:
                    yield Hit(entity=entity, start=start, end=end, score=score)


def _patterns() -> Iterable[tuple[str, str, float, bool]]:
    """Yield entity, pattern, score, and whether its words are as they are."""
    yield from _of_people()
    yield from _of_places()
    age = r"(?P<value>[1-9][0-9]{0,2})"
    yield (
        AGE,
        (
            rf"(?<![0-9]){age}(?=[ -]?(?:years?|yrs?|y/o|yo)(?:[ -]old)?"
            r"(?![A-Za-z]))"
        ),
        0.5,
        True,
    )
    yield (
        AGE,
        rf"{_START}(?:turned|aged?|[Aa]ge:) {age}(?![0-9.,/-])",
        0.5,
        True,
    )
    year = r"(?P<value>(?:1[89]|20)[0-9]{2})(?![0-9-])"
    yield (
        DATE,
        (
            rf"{_START}(?:[Ii]n|[Ss]ince|[Uu]ntil|[Dd]uring|[Bb]y|[Aa]ct of|[Ff]rom)"
            rf" {year}"
        ),
        0.4,
        True,
    )
    yield DATE, r"(?P<value>the (?:1[89]|20)[0-9]0s)", 0.4, True


def _of_people() -> Iterable[tuple[str, str, float, bool]]:
    yield PERSON, rf"{_START}{_TITLE}\.? {_NAME}{_END}", 0.75, False
    yield PERSON, rf"{_START}{_CUE},? {_NAME}{_END}", 0.6, False
    yield PERSON, rf"{_START}[Nn]ame:\s{{0,8}}{_NAME}{_END}", 0.7, False
    yield PERSON, rf"{_START}{_NAME}(?=(?:['’]s)? {_VERB}{_END})", 0.5, False
    yield PERSON, rf"(?:^|\n){_NAME}(?=:)", 0.5, False
    yield PERSON, rf"{_START}{_NAME}(?=['’]s (?!not))", 0.45, False
    yield PERSON, rf"(?:^|\n|\?\?\? ){_TWO}(?=\n|$)", 0.5, False
    yield PERSON, rf"{_START}{_NAME}(?=, can I|: \"| points out)", 0.5, False
    yield PERSON, rf"{_START}{_TWO}{_END}", 0.4, False
    yield from _of_organizations()


def _of_organizations() -> Iterable[tuple[str, str, float, bool]]:
    not_first = r"(?!(?:The|A|An|My|Our|Your|His|Her|In|At|For|From|And) )"
    partners = rf"{_WORD}(?:, {_WORD})?,? (?:and|&) {_WORD}"
    name = (
        rf"(?P<value>{not_first}(?:{partners}|{_WORD}(?: {_WORD}){{0,3}})"
        rf"(?: {_COMPANY}\.?)?)"
    )
    yield (
        ORGANIZATION,
        (
            rf"{_START}(?P<value>{not_first}{_WORD}(?: (?:and |& |of )?{_WORD})"
            rf"{{0,3}} {_COMPANY}(?:(?<=Inc)\.|(?<=Ltd)\.|(?<=Co)\.|(?<=Corp)\.)?)"
            rf"{_END}"
        ),
        0.62,
        True,
    )
    yield (
        ORGANIZATION,
        rf"{_START}{_AT_WORK} (?:the )?{name}{_END}",
        0.66,
        True,
    )
    yield (
        ORGANIZATION,
        (
            rf"{_START}{name}(?=,? (?:is|was|are) (?:an?|the|one of the)"
            rf"(?: [A-Za-z-]{{2,20}}){{0,5}} {_BUSINESS}{_END})"
        ),
        0.66,
        True,
    )
    yield (
        ORGANIZATION,
        (
            rf"{_START}{name}(?=(?:['’]s)? (?:employees|shareholders|customers"
            rf"|headquarters|subsidiary|shares|stock|CEO|annual report"
            rf"|resignation|announced|hired|acquired|manufactures|employs)"
            rf"{_END})"
        ),
        0.55,
        True,
    )
    yield (
        ORGANIZATION,
        rf"{_START}(?P<value>{_WORD}, {_WORD} and {_WORD}){_END}",
        0.5,
        True,
    )
    # In a signature: a person's line, this one, and where that is.
    yield (
        ORGANIZATION,
        (
            rf"(?:^|\n){_WORD}(?: {_WORD}){{1,3}}\n{name}"
            rf"(?=\n(?:[0-9]|PSC|USNS|USS|USNV|USCGC|Unit|P\.?O))"
        ),
        0.66,
        True,
    )
    yield (
        ORGANIZATION,
        (
            rf"{_START}(?P<value>{_WORD}(?:-{_WORD}|, {_WORD} and {_WORD}))"
            rf"(?=\n| is an? )"
        ),
        0.55,
        False,
    )


def _of_places() -> Iterable[tuple[str, str, float, bool]]:
    words = rf"{_LINE}(?: {_LINE}){{0,3}}"
    tail = (
        rf"(?:[,\n ]{{1,3}}(?:{_UNIT}|{words}|[A-Z]{{2}} ?[0-9]{{4,5}}"
        rf"|[0-9]{{4,6}}(?![0-9]))){{0,5}}"
    )
    yield (
        ADDRESS,
        (
            rf"(?<![0-9A-Za-z])(?P<value>[0-9]{{1,5}}[A-Za-z]?,?(?: [0-9]{{1,4}})?"
            rf" {words} {_STREET}\.?(?![A-Za-z]){tail})"
        ),
        0.7,
        True,
    )
    yield (
        ADDRESS,
        (
            rf"{_START}(?P<value>{words} {_STREET}(?: [0-9]{{1,4}})?)"
            rf"(?![A-Za-z])"
        ),
        0.45,
        False,
    )
    part = (
        rf"(?:{_UNIT}|{_LINE}|[0-9]{{1,6}}[A-Za-z]?|{_FOREIGN}"
        r"|[A-Z]{2,3}(?![A-Za-z]))"
    )
    unit = r"(?=(?:Apt|Suite|Unit|Flat|Room|Floor)[. ])"
    between = rf"(?:,? |\.?\n ?(?:, )?|\. {unit})"
    yield (
        ADDRESS,
        (
            rf"{_START}(?:[Aa]ddress(?: is|:| to)?|located at|lives? (?:in|on|at)"
            rf"|lived (?:in|at)|sent to|restaurant is at|moved to|ship(?:ped)? to"
            rf"|deliver(?:ed)? to|offices? (?:is|are) at)\s{{1,8}}"
            rf"(?P<value>(?:the corner of )?[0-9]{{1,5}}[A-Za-z]?"
            rf"(?:{between}{part}){{1,12}}"
            rf"(?: and {_LINE}(?: {_LINE}){{0,2}})?)"
        ),
        0.72,
        True,
    )
    yield (
        ADDRESS,
        (
            rf"{_START}(?:address(?: is|:)?|located at|lives? (?:in|on|at)) "
            r"(?P<value>[0-9]{1,5}(?: [0-9]{1,4})?(?: [a-z]{2,20}){1,4}"
            r"(?:\n[, ]{0,3}[a-z0-9]{2,20}(?: [a-z0-9]{2,20}){0,2}){1,3})"
        ),
        0.72,
        True,
    )
    yield (
        ADDRESS,
        (
            rf"(?P<value>(?:the )?corner of {part}(?: {part}){{0,4}}"
            rf" and {_LINE}(?: {_LINE}){{0,2}})"
        ),
        0.72,
        True,
    )
    yield (
        ADDRESS,
        (
            rf"(?<![0-9A-Za-z])(?P<value>[0-9]{{1,5}}[A-Za-z]?"
            rf"(?: (?:{_LINE}|{_FOREIGN}|[0-9]{{1,4}})){{1,5}}"
            rf"(?:, |\.? ){_UNIT}(?:,? {part}){{0,6}})"
        ),
        0.72,
        True,
    )
    yield (
        ADDRESS,
        (
            r"(?<![A-Za-z])(?P<value>(?:PSC|USNS|USS|USNV|USCGC|Unit|P\.?O\.? Box)"
            r" ?[A-Za-z0-9]{1,12}(?:, Box [0-9]{1,5})?"
            r"(?:\n(?:APO|FPO|DPO) A[AEP] [0-9]{5})?)"
        ),
        0.6,
        True,
    )
    yield (
        ADDRESS,
        r"(?P<value>(?:APO|FPO|DPO) A[AEP] [0-9]{5})",
        0.6,
        True,
    )
    yield ADDRESS, rf"{_START}(?P<value>{_UNIT})(?![0-9A-Za-z])", 0.5, True
    yield (
        ADDRESS,
        (
            rf"{_START}(?:[Aa]ddress(?: is|:| to)?|located at|lives? (?:in|on|at)"
            rf"|lived in|sent to|one to|here they are:|restaurant is at"
            rf"|station is on|side of|off at|enter on|refers to)\s{{1,8}}"
            rf"(?P<value>(?:[0-9]{{1,5}}[A-Za-z]?,? ){{0,2}}{words}"
            rf"(?:,? [0-9]{{1,5}}(?![0-9]))?{tail})"
        ),
        0.65,
        True,
    )
    yield (
        ADDRESS,
        (
            rf"(?:^|\n) ?(?P<value>[0-9]{{1,5}}[A-Za-z]?,?(?: {_LINE}){{1,4}}"
            rf"(?: [0-9]{{1,4}})?)(?=\n)"
        ),
        0.55,
        True,
    )
    yield (
        ADDRESS,
        rf"\n ?(?P<value>{_LINE}(?: {_LINE}){{0,3}} [0-9]{{4,6}})(?=\n|$)",
        0.4,
        True,
    )
    yield (
        ADDRESS,
        rf"{_LINE} (?P<value>[0-9]{{5}}(?:-[0-9]{{4}})?)(?=\n|$)",
        0.45,
        True,
    )
    yield (
        "ZIP_CODE",
        (
            rf"{_START}(?:zip|ZIP|postal|post)(?: ?code)?(?: is|:) "
            rf"(?P<value>[0-9A-Z][0-9A-Z -]{{2,9}}[0-9A-Z])"
        ),
        0.6,
        True,
    )
    yield (
        PLACE,
        (
            rf"{_START}(?:[Ff]rom|[Ii]n|[Tt]o|[Bb]ased in|[Ss]erving|moved here from"
            rf"|[Aa]t|[Nn]ear|[Bb]ack [Tt]o) (?P<value>(?:Southern |Northern "
            rf"|Eastern |Western )?{_WORD}(?: {_WORD}){{0,2}}){_END}"
        ),
        0.5,
        False,
    )
    yield (
        PLACE,
        rf"{_START}(?P<value>{'|'.join(sorted(_PLACES))}){_END}",
        0.65,
        True,
    )
    yield PLACE, rf"\n ?(?P<value>{words})(?=\n|$)", 0.45, False
    yield (
        PLACE,
        (
            rf"{_START}(?P<value>{_WORD})(?= (?:leader|bridge|government|police)"
            rf"{_END})"
        ),
        0.5,
        False,
    )


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Take words that are capitalized anyway off both ends of a span."""
    words = text[start:end].split(" ")
    while words and _bare(words[0]) in _NOT_NAMES:
        start += len(words.pop(0)) + 1
    while words and _bare(words[-1]) in _NOT_NAMES:
        end -= len(words.pop()) + 1
    if any(_bare(word) in _NOT_NAMES for word in words):
        return start, start
    while end > start and text[end - 1] in ".'’":
        end -= 1
    if text[max(start, end - 2) : end] in {"'s", "’s"}:
        end -= 2
    return (start, end) if end > start else (start, start)


def _bare(word: str) -> str:
    return word.strip(".'’").removesuffix("'s").removesuffix("’s").lower()
