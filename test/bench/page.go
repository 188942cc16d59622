package main

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/wire"
)

// page is ordinary text, of the kind that tools return: prose, a table, code, a
// link, a few letters beyond ASCII. No rule should find anything in it.
//
//go:embed page.txt
var page string

// textOf is size bytes of ordinary text, written as the inside of a JSON string.
func textOf(size int) []byte {
	var b strings.Builder
	for part := 1; b.Len() < size; part++ {
		fmt.Fprintf(&b, "Part %d\n\n%s\n", part, page)
	}
	text := b.String()
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	quoted := wire.AppendString(nil, text[:size])
	return quoted[1 : len(quoted)-1]
}

// markBytes is the length of every mark.
const markBytes = len("session 0000 call 00000000: ")

// appendMark begins a text with the session and the call it belongs to, so that an
// answer that reaches somebody else is noticed.
func appendMark(b []byte, session, call int) []byte {
	return fmt.Appendf(b, "session %04d call %08d: ", session, call)
}

// era is a family of protocol revisions.
type era string

const (
	legacy era = "legacy"
	modern era = "modern"
)

// legacyVersion is the revision that legacy sessions speak.
const legacyVersion = "2025-11-25"

const clientInfo = `{"name":"bench","version":"1"}`

// metaOf is what a request carries in its params besides the parameters.
func metaOf(e era) string {
	if e == legacy {
		return ""
	}
	return `"_meta":{"` + wire.MetaVersion + `":"` + wire.ModernVersion + `","` +
		wire.MetaCapabilities + `":{},"` + wire.MetaClientInfo + `":` + clientInfo + `},`
}

// appendResult begins the answer to a call; the text and appendResultEnd follow.
func appendResult(b []byte, id wire.ID) []byte {
	b = append(append(b, `{"jsonrpc":"2.0","id":`...), id...)
	return append(b, `,"result":{"content":[{"type":"text","text":"`...)
}

func appendResultEnd(b []byte, e era) []byte {
	b = append(b, `"}]`...)
	if e == modern {
		b = append(b, `,"resultType":"complete"`...)
	}
	return append(b, "}}"...)
}
