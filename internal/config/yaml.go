package config

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parseYAML turns one YAML document into a tree; nil when it is empty.
// Duplicate keys, tags, merge keys and further documents are refused: each lets
// two readers of one file see different things.
func (r *reader) parseYAML(source []byte) *node {
	tokens := lexer.Tokenize(string(source))
	if len(tokens) > maxTokens {
		r.refuse(tokenPosition(tokens[maxTokens]), "", "more than %d words and signs of YAML; expected a configuration written by hand", maxTokens)
		return nil
	}
	if at, deep := tooDeep(tokens); deep {
		r.refuse(at, "", "nested more than %d levels deep", maxDepth)
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.refuseSyntax(err)
		return nil
	}
	y := &yamlTree{reader: r, anchors: map[string]*node{}, spans: tokenSpans(source, tokens)}
	var root *node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if root != nil {
			r.refuse(tokenPosition(doc.Body.GetToken()), "", "a second document begins here; one file holds one configuration")
			break
		}
		root = y.node(doc.Body, 0)
	}
	return root
}

// maxTokens bounds the work of the parser, which grows with the square of the
// keys in one mapping: a file of 1 MiB could keep it busy for minutes. A server
// takes about 30 tokens.
const maxTokens = 50_000

// refuseSyntax reports where the parser stopped. Its message is kept, its
// excerpt is not: that line may hold a secret.
func (r *reader) refuseSyntax(err error) {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		r.refuse(tokenPosition(syntax.Token), "", "this is not valid YAML: %s", syntax.Message)
		return
	}
	r.refuse(position{}, "", "this is not valid YAML")
}

func tokenPosition(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}

// tooDeep looks at the nesting before the parser, which recurses, does. Levels
// are opened by brackets, by indentation and by "- - -" on one line.
func tooDeep(tokens token.Tokens) (position, bool) {
	brackets, onLine, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			onLine++
		}
		if brackets > maxDepth || onLine > maxDepth {
			return tokenPosition(t), true
		}
	}
	return position{}, false
}

type yamlTree struct {
	*reader
	anchors map[string]*node
	spans   map[*token.Token]Span
	nodes   int
}

func (y *yamlTree) node(in ast.Node, depth int) *node {
	out := y.read(in, depth)
	if in != nil && out.span == (Span{}) {
		out.span = y.span(in)
	}
	return out
}

func (y *yamlTree) read(in ast.Node, depth int) *node {
	out := &node{size: 1}
	if in == nil {
		return out
	}
	out.pos = tokenPosition(in.GetToken())
	if !y.fits(out.pos, depth, 1) {
		return out
	}
	switch in := in.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		out.kind, out.text = boolean, in.Token.Value
	case *ast.IntegerNode:
		out.kind, out.text = number, in.Token.Value
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = number, in.GetToken().Value
	case *ast.StringNode:
		out.kind, out.text = text, in.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, in.Value.Value
	case *ast.SequenceNode:
		out.kind = list
		for _, value := range in.Values {
			out.list = append(out.list, out.adopt(y.node(value, depth+1)))
		}
	case *ast.MappingNode:
		if joined, ok := plainWithColon(in); ok {
			out.kind, out.text, out.pos = text, joined, tokenPosition(in.Values[0].Key.GetToken())
			break
		}
		out.kind = mapping
		y.members(out, in.Values, depth)
	case *ast.MappingValueNode:
		out.kind = mapping
		y.members(out, []*ast.MappingValueNode{in}, depth)
	case *ast.AnchorNode:
		return y.anchor(in, depth)
	case *ast.AliasNode:
		return y.alias(in, out, depth)
	default:
		y.refuse(out.pos, "", "%s is not used in this file; write the value plainly", in.Type())
	}
	return out
}

// plainWithColon is the text of user:corp/alice in [ ] within { }. A colon ends a key
// only where white space follows (YAML 1.2.2, section 7.3.3); the parser takes it for
// a mapping of user to corp/alice there.
func plainWithColon(in *ast.MappingNode) (string, bool) {
	if len(in.Values) != 1 || in.GetToken().Type != token.MappingValueType {
		return "", false // in braces of its own
	}
	value, scalar := in.Values[0].Value.(ast.ScalarNode)
	if !scalar {
		return "", false
	}
	key, after := in.Values[0].Key.GetToken(), value.GetToken()
	adjacent := key.Position.Line == after.Position.Line && key.Position.Offset+len(key.Value)+len(":") == after.Position.Offset
	if !adjacent || key.Type != token.StringType || (after.Type != token.StringType && after.Type != token.IntegerType) {
		return "", false
	}
	return key.Value + ":" + after.Value, true
}

func (y *yamlTree) members(out *node, values []*ast.MappingValueNode, depth int) {
	seen := map[string]int{}
	for i, value := range values {
		at := tokenPosition(value.Key.GetToken())
		if i == 0 && !value.IsFlowStyle {
			out.pos = at // not the colon after it
		}
		name, ok := yamlKey(value.Key)
		if !ok {
			y.refuse(at, "", "a key is plain text; merge keys, aliases and lists are not used as keys")
			continue
		}
		out.add(y.reader, seen, member{name: name, pos: at, value: y.node(value.Value, depth+1), key: y.spans[value.Key.GetToken()]})
	}
}

func yamlKey(key ast.MapKeyNode) (string, bool) {
	switch key := key.(type) {
	case *ast.StringNode:
		return key.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return key.GetToken().Value, true
	}
	return "", false
}

// anchor remembers a value under its name after it was read, so that it cannot
// hold itself.
func (y *yamlTree) anchor(in *ast.AnchorNode, depth int) *node {
	out := y.node(in.Value, depth)
	if in.Name != nil {
		y.anchors[in.Name.GetToken().Value] = out
	}
	return out
}

func (y *yamlTree) alias(in *ast.AliasNode, out *node, depth int) *node {
	if in.Value == nil {
		y.refuse(out.pos, "", "an alias without a name")
		return out
	}
	target := y.anchors[in.Value.GetToken().Value]
	if target == nil {
		y.refuse(out.pos, "", "alias %s names nothing above it", quote(in.Value.GetToken().Value))
		return out
	}
	if !y.fits(out.pos, depth+target.height, target.size) {
		return out
	}
	// Where the value stands is another place than where it is used.
	used := *target
	used.span = Span{-1, -1}
	return &used
}

// fits counts nodes and refuses, once, a tree that grows beyond its bounds.
func (y *yamlTree) fits(at position, depth, size int) bool {
	if y.nodes > maxNodes {
		return false
	}
	y.nodes += size
	switch {
	case y.nodes > maxNodes:
		y.refuse(at, "", "more than %d values with the aliases written out", maxNodes)
	case depth > maxDepth:
		y.refuse(at, "", "nested more than %d levels deep", maxDepth)
	default:
		return true
	}
	return false
}
