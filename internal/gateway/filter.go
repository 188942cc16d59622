package gateway

import (
	"net/url"
	"strings"

	"gatehouse/internal/approval"
	"gatehouse/internal/config"
	"gatehouse/internal/decision"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// filterOf is what the configuration lets clients see of one kind; "" is
// resources.
func (s *server) filterOf(kind approval.Kind) config.Filter {
	switch kind {
	case approval.KindTool:
		return s.config.Tools
	case approval.KindPrompt:
		return s.config.Prompts
	}
	return s.config.Resources
}

// passes reports whether a filter lets a name or URI pass.
func passes(f config.Filter, kind approval.Kind, name string) bool {
	return f.Empty() || f.Passes(name) && (kind != "" || plainURI(name))
}

// plainURI reports whether a URI is written without detours. A pattern is compared
// with its text, and docs://a/../b or docs://a/%2e%2e/b would pass as something
// under docs://a/.
func plainURI(uri string) bool {
	for i := 0; i < len(uri); i++ {
		if uri[i] == '\\' || uri[i] < ' ' {
			return false
		}
		if uri[i] != '%' {
			continue
		}
		octet, err := url.PathUnescape(uri[i:min(i+3, len(uri))])
		// RFC 3986 section 6.2.2.2: encoded octets that are unreserved "should be
		// normalized by decoding", so some reader does; some decode the others too.
		if err != nil || len(octet) != 1 || needless(octet[0]) {
			return false
		}
	}
	for segment := range strings.SplitSeq(uri, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// needless tells octets that nobody has to encode, and those that change the
// meaning of a path.
func needless(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/\\\x00", c) >= 0
}

// permitted reports whether the configuration lets clients use what the exchange is
// about. To them, what it does not permit does not exist.
func (ex *exchange) permitted() bool {
	kind, name := ex.definition()
	switch ex.msg.Method {
	case wire.MethodResourcesRead, wire.MethodSubscribe, wire.MethodUnsubscribe:
		name = ex.target
	case wire.MethodToolsCall, wire.MethodPromptsGet, wire.MethodComplete:
	default:
		return true
	}
	return passes(ex.server.filterOf(kind), kind, name)
}

// filterSubscriptions takes out of a subscription at one server the resources that
// the configuration does not let clients use, as if the server did not have them.
func (ex *exchange) filterSubscriptions() error {
	if ex.server == nil || ex.server.filterOf("").Empty() && ex.audience == nil {
		return nil
	}
	list := ex.out.Params.At("notifications", "resourceSubscriptions")
	if list.Exists() && list.Kind() != '[' {
		return decision.Refuse(decision.InvalidArguments, "resourceSubscriptions must be a list")
	}
	edits := keepOnly(nil, list, func(uri wire.Value) bool {
		return uri.Kind() == '"' && passes(ex.server.filterOf(""), "", uri.Text()) && ex.audience.sees(ex.server, "", uri.Text(), policy.Claims{})
	})
	if len(edits) == 0 {
		return nil
	}
	return replaceMessage(&ex.out, edits)
}

// warnAboutFilters says which patterns match nothing that the server defines: most
// likely they are mistyped, and then they guard nothing.
func (s *server) warnAboutFilters(items []approval.Item) {
	for _, f := range []struct {
		key  string
		kind approval.Kind
		config.Filter
	}{{"tools", approval.KindTool, s.config.Tools}, {"prompts", approval.KindPrompt, s.config.Prompts}} {
		var names []string
		for _, i := range items {
			if i.Kind == f.kind {
				names = append(names, i.Name)
			}
		}
		for _, pattern := range f.Unmatched(names) {
			s.log.Warn("a pattern matches nothing that the server has", "key", "servers."+s.id+"."+f.key, "pattern", pattern)
		}
	}
}
