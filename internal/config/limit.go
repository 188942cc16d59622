package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the machine may have no zones of its own
)

// Quota bounds how much may be used. Everything that is set in it must leave room
// for a request, or the request is refused.
type Quota struct {
	Name string // [a-z][a-z0-9-]{0,63}

	// By says whose use is counted together: ByUser, ByTeam, ByClient, ByServer,
	// ByTool, or ByArgument and a dotted name. Empty: everybody's.
	By   []string
	When QuotaFilter

	Rate       Rate
	Concurrent int // requests at once; 0: not bounded, as all below

	PerDay, PerMonth           int64 // requests
	BytesPerDay, BytesPerMonth int64 // of requests and answers

	Sum  Sum
	Loop Loop

	Report bool // what is too much is recorded and passes
}

// Values of Quota.By. ByArgument is followed by the name of the argument; dots
// lead into objects.
const (
	ByUser     = "user"
	ByTeam     = "team"
	ByClient   = "client"
	ByServer   = "server"
	ByTool     = "tool" // or prompt or resource
	ByArgument = "arguments."
)

// QuotaFilter selects the requests that a quota is about. A list that is empty
// selects all.
type QuotaFilter struct {
	Users, Teams, Clients, Servers, Tools []string // patterns
	Methods                               []string // patterns; never empty
}

// Rate is a number of requests for each Per, of which Burst may come at once. The
// zero Rate bounds nothing.
type Rate struct {
	Count int
	Per   time.Duration
	Burst int // at least 1 where Count is
}

// Sum bounds the sum of a number that requests carry. The bounds are decimal
// numbers as the file has them; "" bounds nothing.
type Sum struct {
	Argument         string // dotted name; "" for no sum
	PerDay, PerMonth string
}

// Loop bounds what a model does over and over.
type Loop struct {
	SameCall int // requests with the same arguments
	Failures int // requests of the same tool that fail, one after the other
	Within   time.Duration
}

// Matches reports whether one of the patterns matches the name, or there is none.
func Matches(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return matchPattern(p, name) })
}

const (
	// maxQuotas keeps the list one that a person can review; each request is compared
	// with every one.
	maxQuotas = 100
	// maxBy bounds what a key is made of.
	maxBy = 8
	// maxQuotaCount keeps counts far from the end of 64 bits.
	maxQuotaCount = 1_000_000_000_000
	maxQuotaBytes = 1 << 50
	maxConcurrent = 1_000_000
	// maxBurst and maxRefill keep the time in which a burst is there again within
	// 64 bits of nanoseconds, and within what a person waits for.
	maxBurst  = 1_000_000
	maxRefill = 366 * 24 * time.Hour
	// maxLoop is far above what is still no loop.
	maxLoop = 10_000
)

var (
	quotaName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	quotaRate = regexp.MustCompile(`^([0-9]{1,7}) ?/ ?(s|m|h|d)$`)
	// decimal has as many digits as the sums are computed with.
	decimal = regexp.MustCompile(`^[0-9]{1,18}(\.[0-9]{1,18})?$`)
	// dotted is a name of an argument, or several that lead into objects.
	dotted = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^.\s\x00]{1,128}(\.[^.\s\x00]{1,128}){0,7}$`) })

	rateUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
)

// Methods that a quota is about if it does not say so: those by which something of
// a server is used, or only tools where something is asked that only calls have.
var (
	usingMethods = []string{"tools/call", "prompts/get", "resources/read"}
	toolMethods  = []string{"tools/call"}
)

// quotaMethods are the methods that can be spelled wrongly; servers may have more.
var quotaMethods = []string{
	"tools/call", "tools/list", "prompts/get", "prompts/list", "resources/read", "resources/list", "resources/templates/list",
	"resources/subscribe", "resources/unsubscribe", "completion/complete", "logging/setLevel", "initialize", "ping",
	"server/discover", "subscriptions/listen", "tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "tasks/update",
	"sampling/createMessage", "elicitation/create", "roots/list",
}

func timeZone(to *string) key {
	s := schema{"type": "string", "default": *to, "description": "In which policies see the time, and where days and months of quotas begin: a name of the IANA time zone database."}
	return key{"time_zone", s, func(r *reader, n *node, field string) {
		if _, err := time.LoadLocation(n.text); err != nil || n.kind != text || n.text == "" || n.text == "Local" {
			r.wrong(n, field, "the name of a time zone, such as UTC or Europe/Berlin")
			return
		}
		*to = n.text
	}}
}

func quotasSchema() schema {
	quota := objectSchema("One quota: everything that is set in it must leave room.", quotaKeys(&Quota{}))
	return schema{
		"type": "object", "description": "How much may be used, by name.", "maxProperties": maxQuotas,
		"propertyNames": schema{"pattern": quotaName.String()}, "additionalProperties": quota,
	}
}

func quotaKeys(q *Quota) []key {
	mode := Enforce
	if q.Report {
		mode = Report
	}
	modeKey := oneOf("mode", "Whether what is too much is refused, or only recorded.", &mode, Enforce, Report)
	read := modeKey.read
	modeKey.read = func(r *reader, n *node, field string) {
		read(r, n, field)
		q.Report = mode == Report
	}
	return []key{
		{"by", schema{"type": "array", "maxItems": maxBy, "items": schema{"type": "string"}, "description": "Whose use is counted together: user, team, client, server, tool, arguments.NAME. Everybody's if left out."}, func(r *reader, n *node, field string) {
			q.By = r.texts(n, field, "dimension", checkBy)
			if len(q.By) > maxBy {
				r.refuse(n.pos, field, "found %d, expected at most %d", len(q.By), maxBy)
			}
		}},
		section("when", "Which requests it is about; all that use something of a server if left out.",
			quotaPatterns("users", "Ids of principals.", &q.When.Users, checkURIPattern),
			quotaPatterns("teams", "Teams; one of those of a user is enough.", &q.When.Teams, checkNamePattern),
			quotaPatterns("clients", "OAuth client ids.", &q.When.Clients, checkURIPattern),
			quotaPatterns("servers", "Ids of servers.", &q.When.Servers, checkNamePattern),
			quotaPatterns("tools", "Names of tools, as the server has them.", &q.When.Tools, checkNamePattern),
			quotaPatterns("methods", "Methods of MCP.", &q.When.Methods, checkMethodPattern),
		),
		{"rate", schema{"type": "string", "pattern": quotaRate.String(), "description": "Requests for each second, minute, hour or day: 60/m."}, func(r *reader, n *node, field string) { r.rate(n, field, &q.Rate) }},
		atLeastOne("burst", "How many of the rate may come at once; as many as the rate says if left out.", &q.Rate.Burst, maxBurst),
		atLeastOne("concurrent", "Requests at once.", &q.Concurrent, maxConcurrent),
		count64("per_day", "Requests a day.", &q.PerDay),
		count64("per_month", "Requests a month.", &q.PerMonth),
		size64("bytes_per_day", "Bytes of requests and answers a day.", &q.BytesPerDay),
		size64("bytes_per_month", "Bytes of requests and answers a month.", &q.BytesPerMonth),
		section("sum", "Bounds the sum of a number that each request carries.",
			key{"argument", schema{"type": "string", "description": "Name of the argument; dots lead into objects."}, func(r *reader, n *node, field string) {
				if n.kind != text || !dotted().MatchString(n.text) {
					r.wrong(n, field, "the name of an argument, such as amount or order.amount")
					return
				}
				q.Sum.Argument = n.text
			}},
			amount("per_day", "The sum of a day.", &q.Sum.PerDay),
			amount("per_month", "The sum of a month.", &q.Sum.PerMonth),
		),
		section("loop", "Bounds what a model does over and over.",
			atLeastOne("same_call", "Requests with the same arguments.", &q.Loop.SameCall, maxLoop),
			atLeastOne("failures", "Requests of the same tool that fail, one after the other.", &q.Loop.Failures, maxLoop),
			duration("within", "The time in which they are counted.", &q.Loop.Within),
		),
		modeKey,
	}
}

func checkBy(dimension string) string {
	switch dimension {
	case ByUser, ByTeam, ByClient, ByServer, ByTool:
		return ""
	}
	if name, ok := strings.CutPrefix(dimension, ByArgument); ok && dotted().MatchString(name) {
		return ""
	}
	return "expected user, team, client, server, tool, or arguments.NAME"
}

// checkMethodPattern refuses a word that is nearly a method: a quota about it
// would bound nothing.
func checkMethodPattern(pattern string) string {
	if problem := checkNamePattern(pattern); problem != "" {
		return problem
	}
	if slices.ContainsFunc(quotaMethods, func(m string) bool { return matchPattern(pattern, m) }) {
		return ""
	}
	if guess := didYouMean(pattern, quotaMethods); guess != "" {
		return "which is no method of MCP" + guess
	}
	return ""
}

func quotaPatterns(name, doc string, to *[]string, check func(string) string) key {
	s := schema{"type": "array", "minItems": 1, "items": schema{"type": "string"}, "description": doc + " * stands for any characters."}
	return key{name, s, func(r *reader, n *node, field string) {
		if n.kind == list && (len(n.list) == 0 || len(n.list) > maxArguments) {
			r.refuse(n.pos, field, "found %d patterns, expected 1 to %d; leave the key out for all", len(n.list), maxArguments)
			return
		}
		*to = r.texts(n, field, "pattern", check)
	}}
}

func (r *reader) rate(n *node, field string, to *Rate) {
	parts := quotaRate.FindStringSubmatch(n.text)
	if n.kind != text || parts == nil {
		r.wrong(n, field, "a number for each s, m, h or d, such as 60/m")
		return
	}
	count, err := strconv.Atoi(parts[1])
	if err != nil || count < 1 || count > maxBurst {
		r.wrong(n, field, fmt.Sprintf("1 to %d for each s, m, h or d, such as 60/m", maxBurst))
		return
	}
	to.Count, to.Per = count, rateUnits[parts[2]]
}

// atLeastOne is a count that bounds nothing if it is left out.
func atLeastOne(name, doc string, to *int, highest int) key {
	k := count(name, doc, to, highest)
	delete(k.schema, "default")
	return k
}

func count64(name, doc string, to *int64) key {
	s := schema{"type": "integer", "minimum": 1, "maximum": int64(maxQuotaCount), "description": doc}
	return key{name, s, func(r *reader, n *node, field string) {
		value, err := strconv.ParseInt(n.text, 10, 64)
		if n.kind != number || err != nil || value < 1 || value > maxQuotaCount {
			r.wrong(n, field, fmt.Sprintf("a whole number from 1 to %d", int64(maxQuotaCount)))
			return
		}
		*to = value
	}}
}

func size64(name, doc string, to *int64) key {
	value := 0
	k := size(name, doc, &value, 1, maxQuotaBytes)
	read := k.read
	k.read = func(r *reader, n *node, field string) {
		read(r, n, field)
		*to = int64(value)
	}
	return k
}

func amount(name, doc string, to *string) key {
	s := schema{"type": []string{"number", "string"}, "description": doc + " A decimal number."}
	return key{name, s, func(r *reader, n *node, field string) {
		if n.kind != number && n.kind != text || !decimal.MatchString(n.text) || strings.Trim(n.text, "0.") == "" {
			r.wrong(n, field, "a decimal number above 0 with at most 18 digits on either side of the point, such as 500 or 99.95")
			return
		}
		*to = n.text
	}}
}

// quotas reads the section of that name. What it says of servers is checked when
// these are known.
func (r *reader) quotas(n *node, field string, c *Config) {
	if n.kind == null {
		return
	}
	if n.kind != mapping || len(n.members) > maxQuotas {
		r.wrongKind(n, field, "a mapping of at most "+strconv.Itoa(maxQuotas)+" names to quotas")
		return
	}
	for _, m := range n.members {
		at := join(field, m.name)
		switch {
		case !quotaName.MatchString(m.name):
			r.refuse(m.pos, at, "expected a name of up to 64 lower-case letters, digits and hyphens, such as calls-per-user")
		case m.value.kind != mapping:
			r.wrongKind(m.value, at, "a mapping, such as {by: [user], rate: 60/m}")
		default:
			c.Quotas = append(c.Quotas, r.quota(m, at))
		}
	}
}

func (r *reader) quota(m member, field string) Quota {
	q := Quota{Name: m.name}
	n, before := m.value, len(r.problems)
	r.section(n, field, quotaKeys(&q))
	if len(r.problems) > before {
		return q
	}
	r.checkBounds(n, field, &q)
	r.checkMethods(n, field, &q)
	if q.Report {
		r.warn(m.pos, field, "the quota only reports; what is too much passes")
	}
	return q
}

// checkBounds refuses halves of what belongs together.
func (r *reader) checkBounds(n *node, field string, q *Quota) {
	if q.Rate.Count == 0 && q.Rate.Burst > 0 {
		r.refuse(n.at("burst"), field+".burst", "belongs to a rate; write rate: 60/m too")
	}
	if q.Rate.Count > 0 {
		if q.Rate.Burst == 0 {
			q.Rate.Burst = q.Rate.Count
		}
		if interval := q.Rate.Per / time.Duration(q.Rate.Count); interval > maxRefill/time.Duration(q.Rate.Burst) {
			r.refuse(n.at("burst"), field+".burst", "the rate takes more than a year to allow that many again")
		}
	}
	if n.get("sum") != nil && (q.Sum.Argument == "" || q.Sum.PerDay == "" && q.Sum.PerMonth == "") {
		r.refuse(n.at("sum"), field+".sum", "expected argument, and per_day or per_month or both")
	}
	if n.get("loop") != nil && (q.Loop.Within == 0 || q.Loop.SameCall == 0 && q.Loop.Failures == 0) {
		r.refuse(n.at("loop"), field+".loop", "expected within, and same_call or failures or both")
	}
	if q.Rate.Count == 0 && q.Concurrent == 0 && q.PerDay == 0 && q.PerMonth == 0 && q.BytesPerDay == 0 && q.BytesPerMonth == 0 &&
		q.Sum.Argument == "" && q.Loop.Within == 0 {
		r.refuse(n.pos, field, "it bounds nothing; write at least one of rate, concurrent, per_day, per_month, bytes_per_day, bytes_per_month, sum and loop")
	}
}

// checkMethods says which methods are meant, and refuses what could never apply.
func (r *reader) checkMethods(n *node, field string, q *Quota) {
	onlyCalls := len(q.When.Tools) > 0
	if len(q.When.Methods) == 0 {
		q.When.Methods = usingMethods
		if onlyCalls || q.Sum.Argument != "" || slices.ContainsFunc(q.By, func(by string) bool { return strings.HasPrefix(by, ByArgument) }) {
			q.When.Methods = toolMethods
		}
	}
	if onlyCalls && !Matches(q.When.Methods, toolMethods[0]) {
		r.refuse(n.at("when", "tools"), field+".when.tools", "only tools/call uses tools, and methods leaves it out")
	}
}

// checkQuotaServers refuses patterns that match no server: they bound nothing.
func (r *reader) checkQuotaServers(root *node, c *Config) {
	var ids []string
	for _, s := range c.Servers {
		ids = append(ids, s.ID)
	}
	for _, q := range c.Quotas {
		for _, pattern := range (Filter{Allow: q.When.Servers}).Unmatched(ids) {
			r.refuse(root.at("quotas", q.Name, "when", "servers"), "quotas."+q.Name+".when.servers", "%s matches no server%s", quote(pattern), didYouMean(pattern, ids))
		}
	}
}
