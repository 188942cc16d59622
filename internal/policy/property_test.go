package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/identity"
	"gatehouse/internal/wire"
)

// linear is what Cedar itself says of a request, with every policy evaluated whole
// and none left out because of its scope.
func linear(e *Engine, r *Request) (allow bool, by []string, failed bool) {
	w, err := e.world(r)
	if err != nil {
		return false, nil, true
	}
	set := cedar.NewPolicySet()
	for _, rule := range e.rules {
		if !rule.report {
			set.Add(cedar.PolicyID(rule.id), cedar.NewPolicyFromAST((*cedarast.Policy)(rule.ast)))
		}
	}
	decision, diagnostic := cedar.Authorize(set, w, w.question)
	for _, reason := range diagnostic.Reasons {
		by = append(by, string(reason.PolicyID))
	}
	return bool(decision), by, len(diagnostic.Errors) > 0
}

var (
	scopesOfPrincipals = []string{`principal`, `principal == User::"user:corp/ann"`, `principal in Team::"ops"`, `principal in Team::"data"`, `principal is Agent`, `principal is User in Team::"ops"`, `principal in Client::"chat"`, `principal == User::"local:root"`, `principal in User::"local:root"`}
	scopesOfActions    = []string{`action`, `action == Action::"tools/call"`, `action in Action::"use"`, `action in [Action::"read", Action::"ask"]`, `action in [Action::"tools/call"]`, `action == Action::"prompts/get"`}
	scopesOfResources  = []string{`resource`, `resource == Tool::"files/read_a"`, `resource in Server::"files"`, `resource in Server::"db"`, `resource is Tool`, `resource is Tool in Server::"db"`, `resource in Gateway::"gatehouse"`, `resource in Tool::"files/read_a"`, `resource == Server::"db"`, `resource is Prompt in Server::"files"`}
	conditions         = []string{``, ``, `when { resource.labels.contains("read") }`, `when { context.arguments.hasTag("a") && context.arguments.getTag("a") == "b" }`, `unless { context.time.hour < 13 }`, `when { resource.environment == "production" } unless { principal in Team::"data" }`,
		`when { context.arguments.numbers.hasTag("n") && context.arguments.numbers.getTag("n") * 9223372036854775807 > 0 }`, `when { if context.arguments.flags.hasTag("f") then principal.name == "Ann" else resource.name like "read_*" }`, `when { !(context.score.lessThan(decimal("0.3")) || context.conversation.contains("x")) }`}
	principals  = []*identity.Principal{ann, bob, ci, root}
	toolNames   = []string{"files/read_a", "files/write_a", "db/get_x", "db/drop", "mail/send"}
	argumentSet = []string{``, `{}`, `{"a":"b"}`, `{"a":"c","n":2}`, `{"n":0,"f":true}`}
)

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// randomPolicies writes policies, valid ones only.
func randomPolicies(random *rand.Rand, n int) string {
	var text strings.Builder
	for i := 0; i < n; {
		effect := "permit"
		if random.IntN(4) == 0 {
			effect = "forbid"
		}
		line := fmt.Sprintf("@id(\"p%d\") %s (%s, %s, %s) %s;\n", i, effect, pick(random, scopesOfPrincipals), pick(random, scopesOfActions), pick(random, scopesOfResources), pick(random, conditions))
		if _, err := New(office(), []Source{{Name: "one", Text: []byte(line)}}); err != nil {
			continue // a scope that fits no request
		}
		text.WriteString(line)
		i++
	}
	return text.String()
}

func randomRequest(t testing.TB, random *rand.Rand) *Request {
	r := call(pick(random, principals), pick(random, toolNames))
	switch random.IntN(6) {
	case 0:
		r.Method, r.Kind = "prompts/get", KindPrompt
	case 1:
		r.Method, r.Kind = "sampling/createMessage", KindServer
	case 2:
		r.Method, r.Kind = "resources/read", KindResource
	}
	r.Score = float64(random.IntN(10)) / 10
	if text := pick(random, argumentSet); text != "" {
		r.Arguments = object(t, text)
	}
	return r
}

// The index, the conditions without their scopes, and one pass over them must come
// to what Cedar says of the whole policies; where a policy fails, the answer is no.
func Test_the_index_decides_like_every_policy_in_turn(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	counts := map[string]int{}
	for range 60 {
		text := randomPolicies(random, 1+random.IntN(12))
		e := engine(t, office(), text)
		for range 60 {
			r := randomRequest(t, random)
			d := e.Decide(r)
			allow, by, failed := linear(e, r)
			if failed {
				counts["failed"]++
				if d.Allow || d.Err == nil {
					t.Fatalf("%s\n%+v\na policy fails, got %+v", text, r, d)
				}
				continue
			}
			slices.Sort(by)
			got := slices.Sorted(slices.Values(d.Policies))
			if d.Allow != allow || !slices.Equal(by, got) || d.Err != nil {
				t.Fatalf("%s\n%+v\ngot %+v, want %v by %v", text, r, d, allow, by)
			}
			counts[fmt.Sprint(allow)]++
			if diff := cmp.Diff(d, e.Decide(r)); diff != "" {
				t.Fatalf("not the same the second time:\n%s", diff)
			}
		}
	}
	if counts["true"] < 100 || counts["false"] < 100 || counts["failed"] < 20 {
		t.Errorf("too few of a kind: %v", counts)
	}
}

// What some call would get must never be hidden.
func Test_what_is_allowed_is_listed(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	hidden, allowed := 0, 0
	for range 60 {
		text := randomPolicies(random, 1+random.IntN(8))
		e := engine(t, office(), text)
		for range 60 {
			r := randomRequest(t, random)
			listed := e.Lists(with(r, func(r *Request) { r.Arguments, r.Score, r.Time = wire.Value{}, 0, noon.AddDate(0, 1, 0) }))
			if e.Decide(r).Allow {
				allowed++
				if !listed {
					t.Fatalf("%s\n%+v\nis allowed and hidden", text, r)
				}
			}
			if !listed {
				hidden++
			}
		}
	}
	if hidden < 100 || allowed < 100 {
		t.Errorf("%d are hidden and %d allowed: too few to prove anything", hidden, allowed)
	}
}

func FuzzPolicies(f *testing.F) {
	for _, name := range ReadyNames() {
		text, _ := Ready(name)
		f.Add(string(text), `{"a":"b"}`)
	}
	random := rand.New(rand.NewPCG(5, 6))
	for range 10 {
		f.Add(randomPolicies(random, 3), `{"n":2,"f":true,"l":[1,{"a":"b"}],"a.b":null}`)
	}
	f.Add(`permit (principal, action, resource) when { context == {} };`, ``)
	f.Fuzz(func(t *testing.T, text, arguments string) {
		e, err := New(office(), []Source{{Name: "fuzz", Text: []byte(text)}})
		if err != nil {
			return
		}
		r := call(ann, "files/read_a")
		if doc, err := wire.Scan([]byte(arguments), wire.DefaultLimits); err == nil {
			r.Arguments = doc.Root
		}
		d := e.Decide(r)
		if diff := cmp.Diff(fmt.Sprintf("%+v", d), fmt.Sprintf("%+v", e.Decide(r))); diff != "" {
			t.Fatalf("not the same the second time:\n%s", diff)
		}
		if d.Err != nil && d.Allow {
			t.Fatalf("fails and allows: %+v", d)
		}
		if d.Allow && !e.Lists(r) {
			t.Fatal("is allowed and hidden")
		}
		if r.Arguments.Kind() != '{' && r.Arguments.Exists() {
			return // what the linear evaluation does not see
		}
		allow, _, failed := linear(e, r)
		if d.Allow != (allow && !failed) {
			t.Fatalf("got %+v, want %v (failed: %v)", d, allow, failed)
		}
	})
}
