package gateway

import (
	"iter"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// properQuestion refuses what no server may ask of a person: to open an address
// that runs code or is sent in the clear, and to type a secret into a form, which
// goes through the client and the model's context: "Servers MUST NOT use form mode
// elicitation to request sensitive information".
func properQuestion(method string, params wire.Value) error {
	if method != wire.MethodElicit {
		return nil
	}
	if twin, found := params.Lookalike("mode", "url", "message", "requestedSchema"); found {
		return decision.Refuse(decision.UpstreamInvalid, "a member named %s", printable(twin))
	}
	if page := params.Get("url"); page.Exists() && !properPage(page.Text()) {
		return decision.Refuse(decision.UpstreamInvalid, "it asks for an address to be opened that is not https")
	}
	for name, field := range params.At("requestedSchema", "properties").Members() {
		if isSecret(name, field) {
			return decision.Refuse(decision.UpstreamInvalid, "it asks for a secret in a form")
		}
	}
	return nil
}

// checkPages is properQuestion for the error by which a server of 2025-11-25 asks
// for pages to be opened.
func checkPages(e wire.Value) error {
	if !asksForPages(e) {
		return nil
	}
	for page := range e.At("data", "elicitations").Items() {
		if err := properQuestion(wire.MethodElicit, page); err != nil {
			return err
		}
	}
	return nil
}

func asksForPages(e wire.Value) bool {
	code, _ := e.Get("code").Int()
	return code == wire.CodeURLElicitation
}

// properPage reports whether an address may be opened in a browser: over https, or
// on this machine.
func properPage(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	if u.Scheme != "http" {
		return false
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// secretWords make a field one for a secret wherever they stand in its name, title
// or description; secretNames are whole names.
var (
	secretWords = []string{
		"password", "passwd", "passphrase", "passcode", "apikey", "apitoken", "accesstoken", "accesskey", "refreshtoken", "authtoken",
		"bearertoken", "secretkey", "clientsecret", "privatekey", "credential", "recoverycode", "seedphrase", "creditcard", "cardnumber",
	}
	secretNames = []string{"secret", "token", "pwd", "pin", "otp", "cvv", "cvc"}
)

// isSecret reports whether a field of a form is for a secret.
func isSecret(name string, field wire.Value) bool {
	name = lettersOf(name)
	if slices.Contains(secretNames, name) || lettersOf(field.Get("format").Text()) == "password" {
		return true
	}
	for _, text := range []string{name, lettersOf(field.Get("title").Text()), lettersOf(field.Get("description").Text())} {
		if slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(text, word) }) {
			return true
		}
	}
	return false
}

// lettersOf is a text in lower case without anything but its letters.
func lettersOf(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
}

// nameAsker puts the configured id of the server in front of what a person is asked
// where several servers could be meant. A person must be able to tell who asks, and
// the client sees one server only.
func nameAsker(edits []wire.Edit, method string, params wire.Value, server string) []wire.Edit {
	message := params.Get("message")
	name := "[" + server + "] "
	if method != wire.MethodElicit || message.Kind() != '"' || strings.HasPrefix(message.Text(), name) {
		return edits
	}
	return append(edits, message.Replace(wire.AppendString(nil, name+message.Text())))
}

// fitRoots takes those roots out of a client's answers that are no folders of its
// machine or that lead out of the folder they name: "Clients MUST … validate all
// root URIs to prevent path traversal".
func fitRoots(m **wire.Message, answers iter.Seq2[string, wire.Value]) error {
	var edits []wire.Edit
	for _, answer := range answers {
		edits = keepOnly(edits, answer.Get("roots"), func(root wire.Value) bool {
			uri := root.Get("uri").Text()
			_, twin := root.Lookalike("uri")
			return !twin && len(uri) >= len("file://") && strings.EqualFold(uri[:len("file://")], "file://") && properURI(uri) == nil
		})
	}
	if len(edits) == 0 {
		return nil
	}
	return replaceMessage(m, edits)
}

// keepOnly takes out of an array what is not proper.
func keepOnly(edits []wire.Edit, array wire.Value, proper func(wire.Value) bool) []wire.Edit {
	var kept [][]byte
	all := 0
	for item := range array.Items() {
		all++
		if proper(item) {
			kept = append(kept, item.Raw())
		}
	}
	if len(kept) == all {
		return edits
	}
	return append(edits, array.Replace(joinArray(kept)))
}

// fitParts changes what stands inside of answers: the roots that a client tells,
// the icons that a server shows, and, where servers are joined, the questions that
// it asks by its answer.
func (g *Gateway) fitParts(ex *exchange) error {
	if ex.fromServer() {
		if ex.msg.Method != wire.MethodRoots {
			return nil
		}
		return fitRoots(&ex.answer, func(yield func(string, wire.Value) bool) { yield("", ex.answer.Result) })
	}
	var edits []wire.Edit
	result := ex.answer.Result
	if mayHold(ex.answer.Raw, "icons") {
		for holder := range iconHolders(result) {
			edits = keepOnly(edits, holder.Get("icons"), properIcon)
		}
	}
	if ex.peer.Mount == "" && ex.route == toServer {
		for _, question := range result.Get("inputRequests").Members() {
			edits = nameAsker(edits, question.Get("method").Text(), question.Get("params"), ex.server.id)
		}
	}
	if len(edits) == 0 {
		return nil
	}
	return replaceMessage(&ex.answer, edits)
}

// iconHolders are all objects of a result that may have icons, but for the entries
// of a list, which are seen to where they are kept.
func iconHolders(result wire.Value) iter.Seq[wire.Value] {
	return func(yield func(wire.Value) bool) {
		if !yield(result.Get("serverInfo")) || !yield(result.At("_meta", wire.MetaServerInfo)) {
			return
		}
		for content := range result.Get("content").Items() {
			if !yield(content) {
				return
			}
		}
		for message := range result.Get("messages").Items() {
			if !yield(message.Get("content")) {
				return
			}
		}
	}
}

// properIcon reports whether a client may show an icon: one that runs code, reads a
// file or is sent in the clear is not for a server to choose.
func properIcon(icon wire.Value) bool {
	src := icon.Get("src").Text()
	_, twin := icon.Lookalike("src")
	u, err := url.Parse(src)
	if twin || err != nil {
		return false
	}
	return u.Scheme == "https" && u.Host != "" || strings.HasPrefix(strings.ToLower(src), "data:image/")
}
