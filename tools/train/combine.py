"""Fits how the scores of both tiers make one, and prints internal/rule/learned/combination.go.

    python3 encoder.py … --held 1; … --held 3; … --held 4     keeps students in the work folder
    go run ./linear -windows WINDOWS WORK/examples.jsonl
    python3 combine.py --work WORK --windows WINDOWS > combination.go

Both scores are of texts whose family the model that gives them has not seen. What the
second tier's score counts for is one number, fixed by hand; the limits follow from
ordinary texts as in the first tier (linear/report.go). The table goes to standard error:
shares of attacks found by the first tier and by both where so many benign texts are
flagged, at the limits that ship, and there together with all rules if their verdicts
("gatehouse rules eval --without likely-injection --verdicts FILE") are given.
"""

import argparse
import collections
import glob
import json
import os
import pickle
import re
import sys

import numpy as np

import encoder
import pieces

ASKED = 3  # windows of a text
# Of benign texts whose best window the second tier is asked about. Below, it
# could hardly make a window certain, or would do so with too many ordinary results.
ASKED_ABOUT = 0.03
UNLIKELY = -2.5  # surely below the score from which the second tier is asked
SECOND = 0.2  # what a unit of the second tier's score counts for

SOFT, HARD = 0.01, 0.008  # of benign texts that may reach a limit
HARD_ORDINARY = 0.001
# How far the hard limit keeps from that of ordinary texts: chosen so that the servers of
# "make test-wide" and the harmless samples of all rules raise nothing.
DISTANCE = {"tool_result": 0.45, "tool_description": 0.6}
ORDINARY = {"documents", "documents_multilingual", "llmail_benign_emails", "tool_descriptions"}  # files


def around(text, start, end):
    """The part of a text in bytes, widened to as many words as the second tier reads, as
    internal/rule/learned does it."""
    missing, blank, far = encoder.WINDOW - len(text[start:end].split()), lambda at: text[at] <= 0x20, 64
    before = missing // 2
    while before > 0 and start > 0:
        least = max(0, start - far)
        while start > least and blank(start - 1):
            start -= 1
        while start > least and not blank(start - 1):
            start -= 1
        before -= 1
    after = missing - missing // 2 + max(before, 0)
    while after > 0 and end < len(text):
        most = min(len(text), end + far)
        while end < most and blank(end):
            end += 1
        while end < most and not blank(end):
            end += 1
        after -= 1
    return text[start:end].decode("utf-8", "ignore")


def read(work, windows, parts):
    """Rows by number, and what of them the second tier is asked about."""
    with open(os.path.join(work, "vocabulary.pkl"), "rb") as file:
        cut = pieces.Pieces(pickle.load(file)[0])
    rows, made, first = {}, encoder.Windows(), []
    with open(os.path.join(work, "folded.jsonl")) as folded, open(windows) as tops:
        for i, (line, top) in enumerate(zip(folded, tops)):
            row = json.loads(line)
            row["part"] = next(n for n, part in enumerate(encoder.PARTS) if row["fold"] in part)
            text = row.pop("text").encode()
            if row["part"] not in parts or not row["measured"]:
                continue
            row["first"] = max((score for _, _, score in json.loads(top)["w"] or []), default=-99.0)
            rows[i] = row
            for start, end, score in (json.loads(top)["w"] or [])[:ASKED]:
                if score >= UNLIKELY:
                    made.add(cut.encode(around(text, int(start), int(end)), 2 * pieces.MAX_PIECES), i, 0, 0)
                    first += [score] * (len(made.pieces) - len(first))
    return rows, made.finish(), np.array(first)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="the work folder of encoder.py")
    parser.add_argument("--windows", required=True, help="what linear -windows wrote of the same examples")
    parser.add_argument("--rules", help="verdicts of the other rules")
    arguments = parser.parse_args()
    flagged = {v["id"] for v in map(json.loads, open(arguments.rules)) if v["flagged"]} if arguments.rules else set()
    students = {int(re.search(r"held-(\d+)", path)[1]): path for path in glob.glob(os.path.join(arguments.work, "held-*.pkl"))}
    rows, made, first = read(arguments.work, arguments.windows, students)
    part, second = np.array([rows[i]["part"] for i in made.row]), np.zeros(len(first))
    for held, path in students.items():
        with open(path, "rb") as file:
            student = pickle.load(file)
        here = np.flatnonzero(part == held)
        second[here] = encoder.scores(student, made, here)
    print("package learned\n\n// Written by tools/train/combine.py: fitted to scores of texts whose family neither tier had seen (docs/model-encoder.md).\nvar (")
    for surface, name in (("tool_result", "resultCombination"), ("tool_description", "definitionCombination")):
        here = [i for i in rows if rows[i]["surface"] == surface]
        benign = [i for i in here if not rows[i]["attack"] and rows[i]["family"] != "written"]
        ordinary = [i for i in benign if rows[i]["file"] in ORDINARY]
        at = lambda scores, who, rate: float(np.quantile([scores[i] for i in who], 1 - rate))
        alone, both = {i: rows[i]["first"] for i in here}, collections.defaultdict(lambda: -99.0)
        gate = at(alone, benign, ASKED_ABOUT)
        for i, one, other in zip(made.row, first, second):
            if one >= gate:
                both[i] = max(both[i], one + SECOND * other)
        hard = max(at(both, benign, HARD), at(both, ordinary, HARD_ORDINARY) + DISTANCE[surface])
        print(f"\t{name} = combination{{gate: {gate:.3f}, first: 1, second: {SECOND}, limits: limits{{soft: {at(both, benign, SOFT):.3f}, hard: {hard:.3f}}}}}")
        print(f"{surface}: {len(benign)} benign texts", file=sys.stderr)
        groups = collections.defaultdict(list)
        for i in here:
            kind = "" if rows[i]["attack"] else ", benign"
            if rows[i]["attack"] or rows[i]["family"] == "written":
                groups[("joined: " if rows[i]["file"].startswith("composite") else "") + rows[i]["family"] + kind].append(i)
            if rows[i]["family"] != "written":
                groups["~all public" + kind].append(i)
            if not rows[i]["attack"] and rows[i]["file"] in ORDINARY:
                groups["~ordinary, benign"].append(i)
        for group in sorted(groups):
            cells = []
            for rate in (0.05, 0.01, 0.005, 0.002):
                for scores in (alone, both):
                    limit = at(scores, benign, rate)
                    cells.append(f"{100 * np.mean([scores[i] > limit for i in groups[group]]):.1f}")
            for acts in (lambda i: both[i] >= hard, lambda i: both[i] >= hard or rows[i]["id"] in flagged):
                cells.append(f"{100 * np.mean([acts(i) for i in groups[group]]):.2f}")
            print(f"| {group.lstrip('~')} | {len(groups[group])} | " + " | ".join(cells) + " |", file=sys.stderr)
    print(")")


if __name__ == "__main__":
    main()
