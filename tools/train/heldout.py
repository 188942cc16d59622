"""Says what rules and classifier find together in texts whose source neither has seen.

    gatehouse rules eval --corpus FOLDER --without likely-injection --verdicts RULES
    LINEAR_FLAGS="-scores SCORES" tools/train/train.sh FOLDER
    python3 tools/train/heldout.py --corpora FOLDER --rules RULES --scores SCORES

A text is flagged if a rule flags it or its score, by a first tier that was trained without
its family, is among the given share of benign texts of its surface. Standard library only.
"""

import argparse
import collections
import json

import data

SHARES = {"tool_result": 0.0053, "tool_description": 0.0003}  # near those of the shipped limits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", required=True)
    parser.add_argument("--rules", required=True)
    parser.add_argument("--scores", required=True)
    arguments = parser.parse_args()
    flagged = {v["id"]: v["flagged"] for v in data.read(arguments.rules)}
    scores = {}
    with open(arguments.scores, encoding="utf-8") as file:
        for line in file:
            score, *_, id = line.rstrip("\n").split("\t")
            scores[id] = float(score)
    rows = [(stem, row) for stem, row in data.corpora(arguments.corpora) if row["surface"] in SHARES]
    print("| | texts | rules | first tier | both |\n|---|---:|---:|---:|---:|")
    for surface, share in SHARES.items():
        here = [(stem, row) for stem, row in rows if row["surface"] == surface]
        benign = sorted((scores[row["id"]] for _, row in here if row["label"] == "benign"), reverse=True)
        limit = benign[int(share * len(benign))]
        groups = collections.defaultdict(list)
        for stem, row in here:
            for name in (stem, "~all"):
                groups[row["label"], name].append((flagged[row["id"]], scores[row["id"]] > limit))
        for (label, name), group in sorted(groups.items()):
            cells = [sum(pick(one) for one in group) for pick in (lambda o: o[0], lambda o: o[1], lambda o: o[0] or o[1])]
            shares = " | ".join(f"{100 * cell / len(group):.2f} %" for cell in cells)
            print(f"| {surface} {label}: {name.lstrip('~')} | {len(group)} | {shares} |")


if __name__ == "__main__":
    main()
