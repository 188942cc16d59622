#!/bin/sh
# Plays the demo on a terminal and makes docs/images/demo.png of what it prints.
# Needs script (util-linux), Chromium or Chrome, a monospaced font with ✓ and ✗, and
# what make demo needs.
set -eu
cd "$(dirname "$0")/../.."

browser=
for name in "${CHROMIUM:-chromium}" chromium-browser google-chrome chrome; do
	if command -v "$name" >/dev/null 2>&1; then browser=$name && break; fi
done
[ -n "$browser" ] || { echo "no Chromium found; name it in CHROMIUM" >&2; exit 1; }

make build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# script gives the demo a terminal, so that it uses colours. What it shows of its
# progress goes to standard error and does not belong in the picture.
script -qec "bin/gatehouse demo 2>$work/progress" "$work/typescript" >/dev/null
sed -e '/^Script \(started\|done\)/d' -e 's/\r//g' "$work/typescript" >"$work/screen"

esc=$(printf '\033')
{
	cat <<'HTML'
<!doctype html><meta charset="utf-8"><style>
body { margin: 0; background: #15181e; }
pre { margin: 0; padding: 20px 24px; color: #dde1e6; white-space: pre;
      font: 15px/21px "DejaVu Sans Mono", "Liberation Mono", monospace; }
.c1 { color: #fff; font-weight: bold; } .c2 { color: #8b95a3; }
.c1-31 { color: #ff6b6b; font-weight: bold; } .c1-32 { color: #5fd38d; font-weight: bold; }
</style><pre><span class="c2">$</span> gatehouse demo
HTML
	sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' \
		-e "s/$esc\[0m/<\/span>/g" -e "s/$esc\[1;\([0-9]*\)m/<span class=\"c1-\1\">/g" \
		-e "s/$esc\[\([0-9]*\)m/<span class=\"c\1\">/g" "$work/screen"
	echo '</pre>'
} >"$work/screen.html"

# One line more than the screen has: the prompt. 100 columns of 15 px are 903 px.
lines=$(($(wc -l <"$work/screen") + 1))
sandbox=
[ "$(id -u)" -ne 0 ] || sandbox=--no-sandbox # Chromium has none for root
"$browser" --headless $sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1.5 \
	--user-data-dir="$work/profile" --window-size="960,$((lines * 21 + 40))" \
	--screenshot="$work/demo.png" "file://$work/screen.html" >"$work/browser" 2>&1 || { cat "$work/browser" >&2; exit 1; }
mv "$work/demo.png" docs/images/demo.png
ls -l docs/images/demo.png
