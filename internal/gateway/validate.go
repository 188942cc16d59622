package gateway

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// uriForm is a scheme and something behind it (RFC 3986 section 3).
var uriForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:.`)

// maxDecoding is how often a path may be percent-encoded: what is decoded more
// often than that is decoded by nobody.
const maxDecoding = 3

// properURI refuses what is no absolute URI, and paths that lead upwards, which a
// careless server follows out of the folder that it serves: "Servers MUST validate
// all resource URIs."
func properURI(uri string) error {
	if !uriForm.MatchString(uri) || strings.ContainsFunc(uri, unicode.IsControl) {
		return decision.Refuse(decision.InvalidArguments, "the URI must be absolute and without control characters")
	}
	path := uri[:strings.IndexAny(uri+"?", "?#")]
	for range maxDecoding {
		if leadsUpwards(path) {
			return decision.Refuse(decision.InvalidArguments, `the path of the URI must not hold ".." or control characters`)
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path {
			return nil
		}
		path = decoded
	}
	return decision.Refuse(decision.InvalidArguments, "the URI is encoded over and over")
}

// properURIs is properURI for a list.
func properURIs(list wire.Value) error {
	for uri := range list.Items() {
		if err := properURI(uri.Text()); err != nil {
			return err
		}
	}
	return nil
}

func leadsUpwards(path string) bool {
	if strings.ContainsFunc(path, unicode.IsControl) {
		return true
	}
	_, path, _ = strings.Cut(path, ":")
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == ".." {
			return true
		}
	}
	return false
}

// checkPromptArguments compares the arguments of a prompt with its definition, which
// names those that are required; all of them are texts: "Implementations MUST
// carefully validate all prompt inputs".
func checkPromptArguments(ex *exchange) error {
	if ex.item == nil {
		return nil
	}
	arguments := ex.msg.Params.Get("arguments")
	if kind := arguments.Kind(); arguments.Exists() && kind != '{' && kind != 'n' {
		return decision.Refuse(decision.InvalidArguments, "arguments must be an object")
	}
	for name, value := range arguments.Members() {
		if value.Kind() != '"' {
			return decision.Refuse(decision.InvalidArguments, "the argument %s must be a text", printable(name))
		}
	}
	doc, err := wire.Scan(ex.item.Definition, wire.Limits{})
	if err != nil {
		return err
	}
	for argument := range doc.Root.Get("arguments").Items() {
		name := argument.Get("name").Text()
		if argument.Get("required").IsTrue() && !arguments.Get(name).Exists() {
			return decision.Refuse(decision.InvalidArguments, "the argument %s is missing", printable(name))
		}
	}
	return nil
}
