package config

import (
	"bytes"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// tokenSpans finds where each token stands. The lexer counts characters, and not
// the same way everywhere, so each token is looked for behind the one before it:
// nothing but white space may lie between them. Where that fails, the places of
// all that follow are not known.
func tokenSpans(source []byte, tokens token.Tokens) map[*token.Token]Span {
	spans := make(map[*token.Token]Span, len(tokens))
	at := 0
	for _, t := range tokens {
		origin := bytes.TrimFunc([]byte(t.Origin), unicode.IsSpace)
		for at < len(source) && isSpace(source[at]) {
			at++
		}
		if !bytes.HasPrefix(source[at:], origin) {
			return spans
		}
		if len(origin) > 0 {
			spans[t] = Span{at, at + len(origin)}
		}
		at += len(origin)
	}
	return spans
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// noSpan is the place of a value that stands nowhere, or elsewhere.
var noSpan = Span{-1, -1}

// span is where a value stands, from its first to its last token.
func (y *yamlTree) span(in ast.Node) Span {
	switch in := in.(type) {
	case *ast.LiteralNode:
		return y.join(y.spans[in.Start], y.spans[in.Value.GetToken()])
	case *ast.SequenceNode:
		if in.IsFlowStyle {
			return y.join(y.spans[in.Start], y.spans[in.End])
		}
		if len(in.Values) > 0 {
			return y.join(y.spans[in.Start], y.span(in.Values[len(in.Values)-1]))
		}
	case *ast.MappingNode:
		if in.IsFlowStyle {
			return y.join(y.spans[in.Start], y.spans[in.End])
		}
		if len(in.Values) > 0 {
			return y.join(y.spans[in.Values[0].Key.GetToken()], y.span(in.Values[len(in.Values)-1].Value))
		}
	case *ast.MappingValueNode:
		return y.join(y.spans[in.Key.GetToken()], y.span(in.Value))
	case ast.ScalarNode:
		if span, ok := y.spans[in.GetToken()]; ok {
			return span
		}
	}
	return noSpan
}

func (y *yamlTree) join(first, last Span) Span {
	if last.End <= first.Start || first.End == 0 {
		return noSpan
	}
	return Span{first.Start, last.End}
}
