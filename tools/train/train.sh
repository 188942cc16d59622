#!/bin/sh
# Trains the first tier of the learned classifier, writes its weights and prints what it
# finds in sources that it has not seen. Takes minutes and needs Python 3 and Go, nothing
# else.
#
#	tools/train/train.sh [FOLDER]
#
# FOLDER has the public texts, as JSON lines; ../shared/corpora/dev beside the checkout if
# it is not given. Texts of our own lie in tools/train/data. The report goes to standard
# output; -windows and other flags of tools/train/linear may be given in LINEAR_FLAGS.
set -eu

corpora=$(realpath "${1:-../shared/corpora/dev}")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" tools/train/data.py --corpora "$corpora" --written tools/train/data/*.jsonl --out "$work/examples.jsonl"
# shellcheck disable=SC2086 # flags are several words
go run ./tools/train/linear -out internal/rule/learned ${LINEAR_FLAGS:-} "$work/examples.jsonl"
go test ./internal/rule/learned -run Test_a_text_is_read_as_in_training -args -update >&2
