"""Turns corpora and written data into examples for training and measuring.

    python3 data.py --corpora FOLDER [--written FILE ...] --out examples.jsonl

One example a line:

    family    the source whose wording an attack has, or to which a benign text belongs
    fold      number of the part that is held out together; -1 is never held out
    trained   whether it is learnt from
    measured  whether results are reported for it (joined texts of ours are not)
    surface   tool_result | tool_description
    attack    true | false
    category, text
    span      [start, end) of the injected part in bytes of UTF-8, where it is known

Standard library only; the same input gives the same output.
"""

import argparse
import base64
import glob
import hashlib
import json
import os
import random
import re
import urllib.parse

# Families of attacks, each a part to be held out. Rows that were joined from two sources
# belong to the one that their attack came from.
FAMILIES = ["asb", "atr", "bipia", "cyberseceval", "deepset", "fixtures", "garak", "injecagent", "written"]

FILES = {
    "asb": "asb",
    "atr_rule_test_cases": "atr",
    "bipia_train": "bipia",
    "cyberseceval_prompt_injection": "cyberseceval",
    "cyberseceval_frr": "cyberseceval",
    "deepset": "deepset",
    "fixtures_dev": "fixtures",
    "garak": "garak",
    "injecagent": "injecagent",
}

# Where the attack of a joined row came from, by what its source names.
PAYLOADS = [
    ("sunblaze-ucb/progent", "asb"),
    ("agent-threat-rules", "atr"),
    ("sinanw/", "deepset"),
    ("AdaptiveAttackAgent", "injecagent"),
    ("PurpleLlama", "cyberseceval"),
    ("NVIDIA/garak", "garak"),
]

# The longest text of a user that is used as an injection.
MAX_PAYLOAD = 600

# How often each written injection is put into a document, and each user's text.
COPIES_WRITTEN = 3
COPIES_USER = 4

# Of a hundred attacks whose injected part is known, so many are put into a document of
# another source besides: what stands around them is not what makes them attacks.
MOVED = 60

# Results are often a sentence or two: one of so many documents gives a short text besides.
SHORT_EVERY = 2

# One of so many harmless descriptions is learnt by itself besides.
DESCRIBED_EVERY = 2

# In how many small structures each harmless sentence of ours stands.
COPIES_ALONE = 4

# How often each stands between lines in other languages.
COPIES_BETWEEN = 3


def stable(text, n):
    """A number below n that depends on the text only."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % n


def repository(source):
    return re.split(r"[ @:]", source)[0]


def family_of(stem, source):
    if stem.startswith("composite"):
        payload = source.removeprefix("composite: ").split(" in ")[0]
        return next((family for mark, family in PAYLOADS if mark in payload), "fixtures")
    return FILES.get(stem, "documents")


def read(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def corpora(folder):
    """Yields (file stem, row) in a fixed order."""
    for path in sorted(glob.glob(os.path.join(folder, "*.jsonl"))):
        stem = os.path.basename(path).removesuffix(".jsonl")
        for row in read(path):
            yield stem, row


def example(family, fold, row, text=None, span=None, measured=True, surface=None, attack=None, file=None):
    made = {
        "id": row.get("id", ""),
        "family": family,
        "fold": fold,
        "measured": measured,
        "surface": surface or row["surface"],
        "attack": row["label"] == "attack" if attack is None else attack,
        "category": row.get("category", ""),
        "file": file or family,
        # Nobody can learn words from what shows none.
        "trained": ":base64:" not in row.get("category", ""),
        "text": row["text"] if text is None else text,
    }
    if span:
        made["span"] = span
    return made


class Carriers:
    """Benign texts into which injections are put."""

    def __init__(self, rows):
        self.results, self.descriptions, self.foreign = [], [], []
        for row in rows:
            if row["category"].endswith(":multilingual"):
                self.foreign += [line.strip() for line in row["text"].split("\n") if 30 < len(line.strip()) < 160]
            if row["surface"] == "tool_result" and len(row["text"]) > 200:
                self.results.append(row["text"])
            elif row["surface"] == "tool_description" and len(row["text"]) > 60:
                self.descriptions.append(row["text"])

    def pick(self, rng, surface):
        texts = self.results if surface == "tool_result" else self.descriptions
        text = rng.choice(texts)
        if len(text) > 6000:
            start = text.find("\n", rng.randrange(len(text) - 5000))
            text = text[start + 1 : start + 5000]
        return text


def between(rng, lines, payload):
    """The payload between two lines in other languages."""
    return rng.choice(lines) + "\n\n" + payload + "\n\n" + rng.choice(lines)


def plain(rng, payload):
    return payload


def sentence_case(rng, payload):
    return rng.choice([payload.lower(), payload.upper(), payload])


def wrapped(rng, payload):
    """The payload as a document of another kind would hold it."""
    forms = [
        lambda p: "<!-- " + p + " -->",
        lambda p: "# " + p,
        lambda p: "// " + p,
        lambda p: "> " + p,
        lambda p: "- " + p,
        lambda p: "**" + p + "**",
        lambda p: "[" + p + "]",
        lambda p: json.dumps({"note": p}),
        lambda p: "Comment: " + p,
        lambda p: '"' + p + '"',
    ]
    return rng.choice(forms)(payload)


def alone(rng, payload):
    """The payload as the only text of a small structure, as tools return it."""
    key = rng.choice(["text", "body", "note", "message", "comment", "value", "content", "description", "title", "summary"])
    forms = [
        lambda p: json.dumps({key: p}, ensure_ascii=False),
        lambda p: json.dumps({"id": rng.randrange(10000), key: p}, ensure_ascii=False, indent=2),
        lambda p: key + ": " + p,
        lambda p: key + ": |\n  " + p,
        lambda p: "| " + rng.choice(["1", "open", "-", "new"]) + " | " + p + " |",
        lambda p: "<p>" + p + "</p>",
        lambda p: "> " + p,
        lambda p: "```\n" + p + "\n```",
    ]
    return rng.choice(forms)(payload)


# Written attacks that are one even where nothing stands around them.
TELLING = {"override", "fake_markup", "addressed", "important_message", "exfiltration", "memory_concealment", "one_line_hijack"}


def break_points(text):
    """Where something may be put in: ends of lines and of sentences."""
    points = [m.end() for m in re.finditer(r"\n+|[.!?]\s", text)]
    return points or [len(text)]


def short(rng, text):
    """A few lines of a document."""
    points = [0] + break_points(text)
    start = rng.choice(points)
    part = text[start : start + rng.randrange(60, 400)].strip() or text[:200]
    return rng.choice(NOISES)(part)


# What happens to harmless text on its way: in most cases nothing.
NOISES = [lambda text: text] * 16 + [
    lambda text: text[::-1],
    lambda text: " ".join(text[:80]),
    urllib.parse.quote,
    lambda text: json.dumps({"text": text}),
    lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    lambda text: text.encode().hex(" "),
    lambda text: "[install](https://app.example/open?url=" + urllib.parse.quote("app:add?" + urllib.parse.quote(json.dumps({"name": text[:20], "args": text[20:].split()}))) + ")",
    lambda text: base64.b64encode(text.encode()).decode(),
]


def embed(rng, carrier, payload):
    """Puts a payload into a carrier and returns the text and the span in bytes."""
    payload = rng.choice([plain, plain, plain, sentence_case, wrapped])(rng, payload)
    strings = [m for m in re.finditer(r'": ?"([^"\\]{12,})"', carrier)] if carrier.lstrip()[:1] in "{[" else []
    if strings and rng.random() < 0.8:
        at = rng.choice(strings)
        point = rng.choice([at.start(1), at.end(1)])
        payload = json.dumps(payload, ensure_ascii=rng.random() < 0.3)[1:-1]
        before, after = (carrier[:point], carrier[point:])
        if point == at.end(1):
            payload = " " + payload
        else:
            payload += " "
    else:
        where = rng.random()
        points = break_points(carrier)
        point = 0 if where < 0.15 else len(carrier) if where < 0.4 else rng.choice(points)
        before, after = carrier[:point], carrier[point:]
        gap = rng.choice(["\n", "\n\n", " "])
        before = before + gap if before and not before.endswith("\n") else before
        after = gap + after if after and not after.startswith("\n") else after
    start = len(before.encode())
    return before + payload + after, [start, start + len(payload.encode())]


def embed_description(rng, carrier, payload):
    """Puts a payload into a tool's description or into that of an argument."""
    payload = rng.choice([plain, plain, plain, sentence_case, wrapped])(rng, payload)
    lines = carrier.split("\n")
    places = [i for i, line in enumerate(lines) if line.startswith(("Description:", "- "))] or [len(lines) - 1]
    i = rng.choice([places[0], rng.choice(places)])
    line = lines[i]
    if line.startswith("Description:") and rng.random() < 0.2:
        head, tail = "Description: ", " " + line.removeprefix("Description:").strip()
    else:
        head, tail = line + rng.choice([" ", " ", "\n"]), ""
    before = "\n".join(lines[:i] + [head])
    after = "\n".join([tail] + lines[i + 1 :])
    start = len(before.encode())
    return before + payload + after, [start, start + len(payload.encode())]


def pieces(text):
    """Yields (start, end) of the lines of a text."""
    for m in re.finditer(r"[^\n]+", text):
        yield m.start(), m.end()


def added(text, known):
    """The part of an attack that no benign text has, in bytes, or None.

    Many attacks are a benign text with something put in. Lines that stand in benign texts
    as well are not what makes it an attack.
    """
    new = [(start, end) for start, end in pieces(text) if text[start:end].strip() not in known and re.search(r"\w{2}", text[start:end])]
    if not new:
        return None
    start, end = new[0][0], new[-1][1]
    if end - start > max(MAX_PAYLOAD, len(text) // 2):
        return None
    return [len(text[:start].encode()), len(text[:end].encode())]


def described(family, fold, row, file):
    """A harmless tool's description by itself, as rules read it: field by field."""
    m = re.search(r"^Description: (.*?)(?=\nArguments:|\Z)", row["text"], re.M | re.S)
    if m and m[1].strip() and stable("described " + row["id"], DESCRIBED_EVERY) == 0:
        yield example(family, fold, row, m[1], measured=False, file=file)


def moved(family, fold, row, span, carriers, stem):
    """The injected part of an attack in a document of another source."""
    payload = row["text"].encode()[span[0] : span[1]].decode("utf-8", "ignore").strip()
    if len(payload) > MAX_PAYLOAD or ":base64:" in row.get("category", ""):
        return
    rng = random.Random("moved " + row["id"])
    insert = embed if row["surface"] == "tool_result" else embed_description
    text, span = insert(rng, carriers.pick(rng, row["surface"]), payload)
    yield example(family, fold, row, text, span, measured=False, file="moved " + stem)


def build(folder, written_paths):
    rows = list(corpora(folder))
    known = {row["text"][start:end].strip() for _, row in rows if row["label"] == "benign" for start, end in pieces(row["text"])}
    written = [row for path in sorted(written_paths) for row in read(path)]
    carriers = Carriers(row for _, row in rows if row["label"] == "benign" and not row["category"].startswith("security"))
    for stem, row in rows:
        family = family_of(stem, row["source"])
        fold = FAMILIES.index(family) if family in FAMILIES else stable(repository(row["source"]), len(FAMILIES) - 1)
        if row["surface"] != "user_text":
            span = added(row["text"], known) if row["label"] == "attack" else None
            yield example(family, fold, row, span=span, file=stem)
            if span and stable("moved " + row["id"], 100) < MOVED:
                yield from moved(family, fold, row, span, carriers, stem)
            if row["label"] == "benign" and row["surface"] == "tool_description":
                yield from described(family, fold, row, stem)
            if stem.startswith("documents") and stable(row["id"], SHORT_EVERY) == 0:
                yield example(family, fold, row, short(random.Random(row["id"]), row["text"]), measured=False, file="short")
            continue
        rng = random.Random(row["id"])
        if row["label"] == "benign":
            # What people ask a model is no injection, and none where a document holds it
            # that only repeats it.
            yield example(family, fold, row, surface="tool_result", measured=False, file="user_text")
            continue
        if len(row["text"]) > MAX_PAYLOAD:
            continue
        for _ in range(COPIES_USER):
            text, span = embed(rng, carriers.pick(rng, "tool_result"), row["text"])
            yield example(family, fold, row, text, span, measured=False, surface="tool_result", file="user_text")
    fold = FAMILIES.index("written")
    for row in written:
        rng = random.Random(row["id"])
        attack = row["label"] == "attack"
        if row["kind"] == "document":
            yield example("written", fold, row, file="written")
            if not attack and row["surface"] == "tool_description":
                yield from described("written", fold, row, "written")
            continue
        if not attack:
            yield example("written", fold, row, measured=False, file="written")
        for _ in range(COPIES_ALONE if not attack else row["category"] in TELLING):
            yield example("written", fold, row, alone(rng, row["text"]), measured=False, attack=attack, file="written")
        if not attack:
            for _ in range(COPIES_BETWEEN):
                yield example("written", fold, row, between(rng, carriers.foreign, row["text"]), measured=False, file="written")
        for copy in range(COPIES_WRITTEN):
            insert = embed if row["surface"] == "tool_result" else embed_description
            text, span = insert(rng, carriers.pick(rng, row["surface"]), row["text"])
            yield example("written", fold, row, text, span, measured=copy == 0, attack=attack, file="written")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", required=True, help="folder with JSON lines of public texts")
    parser.add_argument("--written", nargs="*", default=[], help="files with texts of our own")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    with open(arguments.out, "w", encoding="utf-8") as out:
        for one in build(arguments.corpora, arguments.written):
            out.write(json.dumps(one, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
