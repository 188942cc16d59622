package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// quota puts one quota before a server.
func quota(text string) string { return top("quotas: {q: {" + text + "}}") }

func Test_quotas_that_say_little(t *testing.T) {
	uses := []string{"tools/call", "prompts/get", "resources/read"}
	calls := []string{"tools/call"}
	tests := []struct {
		text string
		want Quota
	}{
		{"rate: 60/m", Quota{When: QuotaFilter{Methods: uses}, Rate: Rate{60, time.Minute, 60}}},
		{"rate: 1 / d, burst: 3", Quota{When: QuotaFilter{Methods: uses}, Rate: Rate{1, 24 * time.Hour, 3}}},
		{"concurrent: 1, when: {methods: ['*']}", Quota{When: QuotaFilter{Methods: []string{"*"}}, Concurrent: 1}},
		{"per_day: 5, when: {tools: [x]}", Quota{When: QuotaFilter{Tools: []string{"x"}, Methods: calls}, PerDay: 5}},
		{"per_day: 5, by: [arguments.to]", Quota{By: []string{"arguments.to"}, When: QuotaFilter{Methods: calls}, PerDay: 5}},
		{"sum: {argument: amount, per_day: '0.5'}", Quota{When: QuotaFilter{Methods: calls}, Sum: Sum{Argument: "amount", PerDay: "0.5"}}},
		{"sum: {argument: maxTokens, per_month: 9}, when: {methods: [sampling/createMessage]}", Quota{When: QuotaFilter{Methods: []string{"sampling/createMessage"}}, Sum: Sum{Argument: "maxTokens", PerMonth: "9"}}},
		{"per_day: 1, when: {methods: [acme/report]}", Quota{When: QuotaFilter{Methods: []string{"acme/report"}}, PerDay: 1}},
	}
	for _, test := range tests {
		test.want.Name = "q"
		if diff := cmp.Diff([]Quota{test.want}, load(t, quota(test.text)).Quotas); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.text, diff)
		}
	}
}

func Test_one_wrong_value_in_each_field_of_a_quota_is_refused(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"quotas", top("quotas: [a]"), ":1:9: quotas: found a list"},
		{"name", top("quotas: {Per User: {rate: 1/s}}"), "quotas.Per User: expected a name"},
		{"quota", top("quotas: {q: 60/m}"), "quotas.q: found text, expected a mapping"},
		{"key", quota("rat: 60/m"), `quotas.q.rat: unknown key; did you mean "rate"?`},
		{"nothing bounded", quota("by: [user]"), "quotas.q: it bounds nothing"},
		{"by", quota("by: user, rate: 1/s"), "quotas.q.by: found text, expected a list"},
		{"by dimension", quota("by: [users], rate: 1/s"), `quotas.q.by[0]: found "users", expected user, team`},
		{"by argument", quota("by: [arguments.], rate: 1/s"), "quotas.q.by[0]: found"},
		{"when", quota("when: [a], rate: 1/s"), "quotas.q.when: found a list"},
		{"when empty", quota("when: {tools: []}, rate: 1/s"), "quotas.q.when.tools: found 0 patterns"},
		{"when users", quota("when: {users: [7]}, rate: 1/s"), "quotas.q.when.users[0]: found a number"},
		{"when teams", quota("when: {teams: ['a b']}, rate: 1/s"), "quotas.q.when.teams[0]: found"},
		{"when clients", quota("when: {clients: ['']}, rate: 1/s"), "quotas.q.when.clients[0]: found"},
		{"when tools", quota("when: {tools: ['a?']}, rate: 1/s"), "quotas.q.when.tools[0]: found"},
		{"when servers", quota("when: {servers: [fils]}, rate: 1/s"), `quotas.q.when.servers: "fils" matches no server; did you mean "files"?`},
		{"when methods", quota("when: {methods: [tools/cal]}, rate: 1/s"), `quotas.q.when.methods[0]: found "tools/cal", which is no method of MCP; did you mean "tools/call"?`},
		{"tools without calls", quota("when: {tools: [a], methods: [resources/read]}, rate: 1/s"), "quotas.q.when.tools: only tools/call uses tools"},
		{"rate", quota("rate: 60"), "quotas.q.rate: found 60, expected a number for each s, m, h or d"},
		{"rate unit", quota("rate: 60/w"), "quotas.q.rate: found"},
		{"rate zero", quota("rate: 0/m"), "quotas.q.rate: found"},
		{"burst", quota("rate: 1/s, burst: 0"), "quotas.q.burst: found 0, expected a whole number from 1"},
		{"burst alone", quota("burst: 5, per_day: 1"), "quotas.q.burst: belongs to a rate"},
		{"burst for years", quota("rate: 1/d, burst: 400"), "quotas.q.burst: the rate takes more than a year"},
		{"concurrent", quota("concurrent: 0"), "quotas.q.concurrent: found 0"},
		{"per_day", quota("per_day: -1"), "quotas.q.per_day: found -1, expected a whole number"},
		{"per_month", quota("per_month: 1e3"), "quotas.q.per_month: found"},
		{"bytes_per_day", quota("bytes_per_day: 1GB"), "quotas.q.bytes_per_day: found"},
		{"bytes_per_month", quota("bytes_per_month: 0"), "quotas.q.bytes_per_month: found 0"},
		{"sum without bound", quota("sum: {argument: a}"), "quotas.q.sum: expected argument, and per_day or per_month"},
		{"sum without argument", quota("sum: {per_day: 5}"), "quotas.q.sum: expected argument"},
		{"sum argument", quota("sum: {argument: a..b, per_day: 5}"), "quotas.q.sum.argument: found"},
		{"sum exponent", quota("sum: {argument: a, per_day: 1e3}"), "quotas.q.sum.per_day: found"},
		{"sum negative", quota("sum: {argument: a, per_day: -5}"), "quotas.q.sum.per_day: found"},
		{"sum zero", quota("sum: {argument: a, per_day: 0.0}"), "quotas.q.sum.per_day: found"},
		{"sum digits", quota("sum: {argument: a, per_month: 1234567890123456789}"), "quotas.q.sum.per_month: found"},
		{"loop without time", quota("loop: {same_call: 5}"), "quotas.q.loop: expected within"},
		{"loop of nothing", quota("loop: {within: 1m}"), "quotas.q.loop: expected within, and same_call or failures"},
		{"loop same_call", quota("loop: {same_call: 0, within: 1m}"), "quotas.q.loop.same_call: found 0"},
		{"loop failures", quota("loop: {failures: x, within: 1m}"), "quotas.q.loop.failures: found"},
		{"loop within", quota("loop: {failures: 3, within: 60}"), "quotas.q.loop.within: found 60, expected a duration"},
		{"mode", quota("rate: 1/s, mode: off"), `quotas.q.mode: found "off", expected enforce or report`},
		{"time zone", top("time_zone: Mars/Olympus"), "time_zone: found"},
		{"time zone path", top("time_zone: ../../etc/passwd"), "time_zone: found"},
	}
	for _, test := range tests {
		_, err := Load(write(t, "gatehouse.yaml", test.file))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}
