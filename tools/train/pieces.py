"""Cuts folded text into word pieces, exactly as internal/rule/learned/encoder does.

The pieces are those of MiniLM (WordPiece, lower case, without accents). What is
ours is how text falls into words: by tables that Go and Python share, because the
two know different versions of Unicode.
"""

import json
import unicodedata

MAX_WORD = 48  # bytes; longer ones are keys, digests and encoded data: one unknown piece
MAX_WORD_PIECES = 4  # what is kept of one word
MAX_PIECES = 96  # what the encoder reads at once

# The first pieces are no text: padding, words that cannot be cut, words of digits.
SPECIAL = ["[PAD]", "[UNK]", "[NUM]"]
PAD, UNKNOWN, NUMBER = range(3)

# Punctuation that is no piece.
SILENT = set("\",{}()=/\\-_'`|*&+~^%$")

# Letters with accents are written as their base letter up to here; what lies
# beyond keeps its marks, except for combining ones, which are dropped.
LAST_ACCENT = 0x24F


def accents():
    """The letters that stand for another one: code point → lower-case base."""
    table = {}
    for c in range(0xC0, LAST_ACCENT + 1):
        base = "".join(d for d in unicodedata.normalize("NFD", chr(c).lower()) if not 0x300 <= ord(d) <= 0x36F)
        if len(base) == 1 and base != chr(c):
            table[c] = base
    return table


ACCENTS = accents()

# Ranges of code points beyond ASCII that are pieces by themselves: punctuation,
# symbols, ideographs.
ALONE = [
    (0xA1, 0xA9), (0xAB, 0xB1), (0xB4, 0xB4), (0xB6, 0xB8), (0xBB, 0xBB), (0xBF, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7),
    (0x2010, 0x2027), (0x2030, 0x205E), (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2190, 0x2BFF),
    (0x3001, 0x303F), (0x30FB, 0x30FB), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
    (0xFF01, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF65), (0x964, 0x965), (0x60C, 0x60C), (0x61F, 0x61F),
    (0x1F000, 0x1FAFF), (0x20000, 0x2FA1F),
]
# Ranges that are dropped: combining marks and what nobody sees.
DROPPED = [(0x80, 0x9F), (0xAD, 0xAD), (0x300, 0x36F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F),
           (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xE0000, 0xE0FFF)]
# What separates words beyond ASCII.
SPACES = {0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


def _within(ranges, c):
    return any(low <= c <= high for low, high in ranges)


_classes = {}


def _classify(c):
    """What a character is: ("word", text), ("alone", text), ("gap", "") or ("none", "")."""
    code = ord(c)
    if code < 0x80:
        if c.isalnum():
            return "word", c.lower()
        return ("gap", "") if code <= 0x20 or code == 0x7F or c in SILENT else ("alone", c)
    if code in SPACES:
        return "gap", ""
    if _within(DROPPED, code):
        return "none", ""
    if _within(ALONE, code):
        return "alone", c
    return "word", ACCENTS.get(code, c)


def words(text):
    """The words of a text, punctuation and ideographs as words of their own."""
    current, found = [], []
    for c in text:
        known = _classes.get(c)
        if known is None:
            known = _classes[c] = _classify(c)
        kind, written = known
        if kind == "word":
            current.append(written)
        elif kind != "none":
            if current:
                found.append("".join(current))
                current = []
            if kind == "alone":
                found.append(written)
    if current:
        found.append("".join(current))
    return found


class Pieces:
    """A vocabulary: SPECIAL, then pieces, with "##" before those that continue a word."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.index = {piece: i for i, piece in enumerate(pieces) if i >= len(SPECIAL)}
        self.cache = {}

    def cut(self, word):
        known = self.cache.get(word)
        if known is None:
            known = self.cache[word] = self._cut(word)
        return known

    def _cut(self, word):
        if len(word.encode()) > MAX_WORD:
            return [UNKNOWN]
        if word.isascii() and word.isdigit():
            return [NUMBER]
        start, found = 0, []
        while start < len(word) and len(found) < MAX_WORD_PIECES:
            for end in range(len(word), start, -1):
                piece = self.index.get(("##" if start else "") + word[start:end])
                if piece is not None:
                    found.append(piece)
                    start = end
                    break
            else:
                return [UNKNOWN]
        return found

    def encode(self, text, most=MAX_PIECES):
        found = []
        for word in words(text):
            found += self.cut(word)
            if len(found) >= most:
                break
        return found[:most]


def minilm(tokenizer_json):
    """MiniLM's own pieces by their index there."""
    vocabulary = json.load(open(tokenizer_json))["model"]["vocab"]
    return [piece for piece, _ in sorted(vocabulary.items(), key=lambda item: item[1])]
