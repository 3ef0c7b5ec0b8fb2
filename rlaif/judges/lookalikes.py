"""Characters by what the eye takes them for: brackets, slashes, Latin letters.

After the confusables of Unicode's Technical Standard 39 (``confusables.txt``), by script: Cyrillic,
Greek, Armenian and the letters of Latin as one list, and whole rows for scripts whose capitals are
drawn as Latin ones. What NFKD or another case makes plain is not repeated.
"""

import string

ANGLES = (
    "\u00ab\u02c2\u1438\u16b2\u2039\u226a\u227a\u22b2\u22d6\u22d8\u2329\u25c1\u276c\u276e\u2770\u27e8"
    "\u27ea\u29fc\u2a7d\u2a7f\u2aa1\u2aaa\u3008\u300a\U0001d236\U0001f870"
)
SLASHES = "\u1735\u2041\u2044\u2215\u2571\u27cb\u29f8\u2cc6\u3033\u30ce\u31d3\u4e3f\U0001d23a"
_LETTERS = {
    "a": "\u0410\u0430\u0391\u03b1\u0251",
    "b": "\u0412\u0432\u0392",
    "c": "\u0421\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0415\u0435\u0395\u212e",
    "g": "\u0261\u0581",
    "h": "\u041d\u043d\u0397\u04bb",
    "i": "\u0406\u0456\u0399\u03b9\u0131",
    "j": "\u0408\u0458",
    "k": "\u041a\u043a\u039a\u03ba",
    "l": "\u04cf\u04c0\u01c0",
    "m": "\u041c\u043c\u039c",
    "n": "\u039d\u03b7\u0578",
    "o": "\u041e\u043e\u039f\u03bf\u0585",
    "p": "\u0420\u0440\u03a1\u03c1",
    "q": "\u051b\u0566",
    "r": "\u0433\u1d26",
    "s": "\u0405\u0455\ua731",
    "t": "\u0422\u0442\u03a4\u03c4",
    "u": "\u057d\u03c5\u028b",
    "v": "\u0475\u03bd\u0474",
    "w": "\u051d\u0461\u03c9",
    "x": "\u0425\u0445\u03a7\u03c7",
    "y": "\u0423\u0443\u03a5\u04af",
    "z": "\u0396",
}
_LISU = (
    "abcdefghijklmnoprstuvwxyz",
    "\ua4ee\ua4d0\ua4da\ua4d3\ua4f0\ua4dd\ua4d6\ua4e7\ua4f2\ua4d9\ua4d7\ua4e1\ua4df\ua4e0"
    "\ua4f3\ua4d1\ua4e3\ua4e2\ua4d4\ua4f4\ua4e6\ua4ea\ua4eb\ua4ec\ua4dc",
)
# Cherokee and Coptic have small letters too, which are drawn as the capitals.
_CHEROKEE = (
    "abbcdeghhijklmprrsstvwwyyz",
    "\u13aa\u13f4\u13cf\u13df\u13a0\u13ac\u13c0\u13bb\u13c2\u13a5\u13ab\u13e6\u13de\u13b7"
    "\u13e2\u13a1\u13d2\u13d5\u13da\u13a2\u13d9\u13b3\u13d4\u13a9\u13bd\u13c3",
)
_COPTIC = (
    "abcehiklmnoptxyz",
    "\u2c80\u2c82\u2ca4\u2c88\u2c8e\u2c92\u2c94\u2cd0\u2c98\u2c9a\u2c9e\u2ca2\u2ca6\u2cac"
    "\u2ca8\u2c8c",
)
_SMALL_CAPITALS = (
    "abcdefghijklmnopqrstuvwyz",
    "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274"
    "\u1d0f\u1d18\ua7af\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22",
)
_ROWS = (_LISU, _CHEROKEE, _COPTIC, _SMALL_CAPITALS)


def _twins(letter: str) -> str:
    pairs = [pair for row in _ROWS for pair in zip(*row, strict=True)]
    drawn = [twin + twin.lower() for latin, twin in pairs if latin == letter]
    return "".join(dict.fromkeys(_LETTERS.get(letter, "") + "".join(drawn)))


TWINS = {letter: _twins(letter) for letter in string.ascii_lowercase}
"""Letters of other scripts by the Latin letter that the eye takes them for."""
