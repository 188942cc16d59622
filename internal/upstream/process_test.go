package upstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/wire"
)

// soon is far longer than anything here takes and far shorter than any timeout
// that would hide a hang.
const soon = 8 * time.Second

var testLimits = Limits{MessageBytes: 1 << 20, Events: 100, WriteTimeout: 5 * time.Second}

func start(t *testing.T, limits Limits, inbound Inbound, env ...string) *Process {
	t.Helper()
	if inbound == nil {
		inbound = func(*wire.Message, any) {}
	}
	p, err := Start(Command{Args: []string{os.Args[0]}, Dir: t.TempDir(), Env: append(env, serverMode+"=plain")}, limits, quiet(), inbound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func (p *Process) try(r Request) (Answer, error) {
	ctx, stop := context.WithTimeout(context.Background(), soon)
	defer stop()
	return p.Call(ctx, r)
}

func call(t *testing.T, p *Process, id, method, params string) string {
	t.Helper()
	answer, err := p.try(request(t, id, method, params))
	if err != nil {
		t.Fatalf("%s: %v", method, p.Explain(err))
	}
	return string(answer.Message.Raw)
}

// waitFor waits for something that happens by itself.
func waitFor(t *testing.T, what string, happened func() bool) {
	t.Helper()
	late := time.After(soon)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-late:
			t.Fatalf("not within %s: %s", soon, what)
		case <-tick.C:
		}
	}
}

func ended(p *Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

func Test_ids_are_ours_towards_the_server_and_the_callers_in_answers(t *testing.T) {
	p := start(t, testLimits, nil)
	for _, id := range []string{"1", "0", "-7", "9007199254740993", "123456789012345678901234567890", `"1"`, `"a\"b\u0000 é"`, `""`} {
		want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"value":"ping"}}`, id)
		if got := call(t, p, id, "ping", `{}`); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := call(t, p, `"x"`, "seen", `{}`); strings.Contains(got, "12345678901234567890") || !strings.Contains(got, `"id":8`) {
		t.Errorf("the server saw %s", got)
	}
}

func Test_the_rest_of_a_message_passes_byte_for_byte(t *testing.T) {
	const params = `{ "n": 9007199254740993, "f":1.50e+3,"u":"\u00e9\/","_meta":{"progressToken":"mine","x":[ ]} }`
	p := start(t, testLimits, nil)
	got := call(t, p, "5", "seen", params)
	// The server's encoder writes the values it received in their compact form.
	if want := `{"n":9007199254740993,"f":1.50e+3,"u":"\u00e9\/","_meta":{"progressToken":1,"x":[]}}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want it to hold %s", got, want)
	}
}

func Test_two_clients_that_count_alike_are_kept_apart(t *testing.T) {
	p := start(t, testLimits, nil)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			method := fmt.Sprint("m", i)
			answer, err := p.try(request(t, "1", method, `{}`))
			if want := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"result":{"value":%q}}`, method); err != nil || string(answer.Message.Raw) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	all.Wait()
}

func Test_notifications_come_before_the_answer_with_the_callers_token(t *testing.T) {
	var box inbox
	p := start(t, testLimits, box.inbound)
	r := request(t, `"c"`, "say", jsonOf(t, map[string]any{
		"_meta": map[string]any{"progressToken": "tok-9007199254740993"},
		"lines": []string{
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%TOKEN%,"progress":1}}`,
			`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":9007199254740993}}`,
			`{"jsonrpc":"2.0","id":"ask","method":"sampling/createMessage","params":{}}`,
			`{"jsonrpc":"2.0","id":%ID%,"result":{}}`,
		},
	}))
	r.Tag = "the tag"
	if _, err := p.try(r); err != nil {
		t.Fatal(err)
	}
	want := []tagged{
		{`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"tok-9007199254740993","progress":1}}`, "the tag"},
		{`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":9007199254740993}}`, "the tag"},
		{`{"jsonrpc":"2.0","id":"ask","method":"sampling/createMessage","params":{}}`, "the tag"},
	}
	if diff := cmp.Diff(want, box.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Our numbers must not reach a client: it may have chosen the same ones.
func Test_progress_that_nobody_asked_for_is_dropped(t *testing.T) {
	var box inbox
	p := start(t, testLimits, box.inbound)
	call(t, p, "7", "say", lines(t,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%ID%,"progress":1}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":4711,"progress":1}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"%ID%","progress":1}}`,
		`{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":4711}}}`,
		`{"jsonrpc":"2.0","id":%ID%,"result":{}}`))
	if got := box.all(); len(got) != 0 {
		t.Errorf("passed on: %+v", got)
	}
}

// A server numbers its own questions as we number ours.
func Test_a_server_cancels_its_own_questions_under_its_own_id(t *testing.T) {
	var box inbox
	p := start(t, testLimits, box.inbound)
	cancelled := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	call(t, p, `"client"`, "say", lines(t, cancelled, `{"jsonrpc":"2.0","id":%ID%,"result":{}}`))
	if got := box.all(); len(got) != 1 || got[0].Raw != cancelled {
		t.Errorf("got %+v, want %s", got, cancelled)
	}
}

func Test_a_subscription_is_known_by_the_clients_id_and_has_no_bound(t *testing.T) {
	var box inbox
	limits := testLimits
	limits.Events = 3
	p := start(t, limits, box.inbound)
	ctx, stop := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	defer listening.Wait()
	defer stop()
	r := request(t, `"sub"`, wire.MethodListen, `{}`)
	r.Tag = "subscription"
	listening.Go(func() { _, _ = p.Call(ctx, r) })
	waitFor(t, "the subscription", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.lastID == 1
	})
	event := `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1}}}`
	call(t, p, "3", "repeat", jsonOf(t, map[string]any{"n": 10, "text": event}))
	call(t, p, "4", "say", lines(t, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, `{"jsonrpc":"2.0","id":%ID%,"result":{}}`))
	want := slices.Repeat([]tagged{{strings.Replace(event, ":1}", `:"sub"}`, 1), "subscription"}}, 10)
	want = append(want, tagged{`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"sub"}}`, "subscription"})
	if diff := cmp.Diff(want, box.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func Test_lines_that_are_no_messages_are_passed_over_and_counted(t *testing.T) {
	p := start(t, testLimits, nil)
	got := call(t, p, "1", "say", lines(t, "Server ready", "", "  [INFO] listening", "[1,2]", `"text"`, "\x1b[32mok\x1b[0m",
		"  "+`{"jsonrpc":"2.0","id":%ID%,"result":{}}`+"  \r"))
	if got != `{"jsonrpc":"2.0","id":1,"result":{}}` {
		t.Errorf("got %s", got)
	}
	if err := p.Explain(ErrEnded); !strings.Contains(err.Error(), "5 lines on stdout were of no use") {
		t.Errorf("explained as %v", err)
	}
}

func Test_floods_end_the_server(t *testing.T) {
	limits := testLimits
	limits.Events = 20
	for _, tt := range []struct {
		name, text string
		n          int
	}{
		{"lines that are no messages", "debug", maxStrayLines + 1},
		{"notifications within a call", `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`, 21},
		{"answers to nobody", `{"jsonrpc":"2.0","id":999999,"result":{}}`, maxUnasked + 1},
		{"progress of nobody", `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":999999}}`, maxUnasked + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, limits, nil)
			_, err := p.try(request(t, "1", "repeat", jsonOf(t, map[string]any{"n": tt.n, "text": tt.text})))
			if !errors.Is(err, ErrFlood) {
				t.Errorf("got %v", err)
			}
			waitFor(t, "the end of the process", func() bool { return ended(p) })
		})
	}
	t.Run("just below the bounds", func(t *testing.T) {
		p := start(t, limits, nil)
		call(t, p, "1", "repeat", jsonOf(t, map[string]any{"n": maxStrayLines, "text": "debug"}))
		call(t, p, "2", "repeat", jsonOf(t, map[string]any{"n": 20, "text": `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`}))
		call(t, p, "3", "repeat", jsonOf(t, map[string]any{"n": maxStrayLines, "text": "debug"}))
	})
	// These end no call one by one, so the flood goes on when the first has failed.
	for name, text := range map[string]string{"notifications outside of calls": `{"jsonrpc":"2.0","method":"notifications/message"}`, "messages that are not valid": `{`} {
		t.Run(name, func(t *testing.T) {
			p := start(t, limits, nil)
			ctx, stop := context.WithCancel(context.Background())
			stop()
			_, err := p.Call(ctx, request(t, "1", "repeat", jsonOf(t, map[string]any{"n": 2*maxUnasked + 100, "text": text})))
			if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v", err)
			}
			waitFor(t, "the end of the process", func() bool { return ended(p) })
			if _, err := p.try(request(t, "2", "ping", `{}`)); !errors.Is(err, ErrFlood) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func Test_a_message_that_is_not_valid_fails_the_calls_in_flight_at_once(t *testing.T) {
	for name, line := range map[string]string{
		"cut off":          `{"jsonrpc":"2.0","id":1,`,
		"twin keys":        `{"jsonrpc":"2.0","id":1,"result":{},"Result":{"x":1}}`,
		"two values":       `{"jsonrpc":"2.0","id":1,"result":{}} {}`,
		"batch":            `[{"jsonrpc":"2.0","id":1,"result":{}}]`,
		"result and error": `{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}`,
		"null id":          `{"jsonrpc":"2.0","id":null,"result":{}}`,
		"no version":       `{"id":1,"result":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, testLimits, nil)
			failed := make(chan error, 1)
			go func() {
				_, err := p.try(request(t, "1", "hang", `{}`))
				failed <- err
			}()
			waitFor(t, "the first call", func() bool { return strings.Contains(call(t, p, "2", "seen", `{}`), "hang") })
			_, err := p.try(request(t, "3", "say", lines(t, line)))
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("the call: %v", err)
			}
			if err := <-failed; !errors.Is(err, ErrInvalid) {
				t.Errorf("the other call: %v", err)
			}
			if got := call(t, p, "4", "ping", `{}`); !strings.Contains(got, "ping") {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
}

func Test_answers_that_nobody_waits_for_are_dropped(t *testing.T) {
	p := start(t, testLimits, nil)
	got := call(t, p, "1", "say", lines(t,
		`{"jsonrpc":"2.0","id":4711,"result":{"of":"nobody"}}`,
		`{"jsonrpc":"2.0","id":"%ID%","result":{"of":"a string"}}`,
		`{"jsonrpc":"2.0","id":99999999999999999999,"result":{}}`,
		`{"jsonrpc":"2.0","id":%ID%,"result":{"first":true}}`,
		`{"jsonrpc":"2.0","id":%ID%,"result":{"second":true}}`))
	if got != `{"jsonrpc":"2.0","id":1,"result":{"first":true}}` {
		t.Errorf("got %s", got)
	}
	if got := call(t, p, "2", "ping", `{}`); got != `{"jsonrpc":"2.0","id":2,"result":{"value":"ping"}}` {
		t.Errorf("the next call got %s", got)
	}
	// Many at once, so that one that is kept would hold up what follows.
	many := slices.Repeat([]string{`{"jsonrpc":"2.0","id":%ID%,"result":{}}`}, 2000)
	call(t, p, "3", "say", lines(t, many...))
	if got := call(t, p, "4", "ping", `{}`); !strings.Contains(got, "ping") {
		t.Errorf("the next call got %s", got)
	}
}

func Test_a_late_answer_is_for_no_other_call(t *testing.T) {
	p := start(t, testLimits, nil)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := p.Call(ctx, request(t, "1", "slow", `{}`)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if got := call(t, p, "1", "ping", `{}`); !strings.Contains(got, "ping") {
		t.Errorf("got %s", got)
	}
}

func Test_death_in_mid_call(t *testing.T) {
	p := start(t, testLimits, nil)
	began := time.Now()
	_, err := p.try(request(t, "1", "die", `{"n":50,"text":"`+strings.Repeat("noise ", 2000)+`cannot open the database\n"}`))
	if !errors.Is(err, ErrEnded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the call failed after %s", took)
	}
	waitFor(t, "Done", func() bool { return ended(p) })
	text := p.Explain(err).Error()
	if !errors.Is(p.Explain(err), ErrEnded) || !strings.Contains(text, "exit status 3") || !strings.Contains(text, "cannot open the database") {
		t.Errorf("explained as %.300s", text)
	}
	if len(text) > keptStderr+500 {
		t.Errorf("%d bytes of explanation", len(text))
	}
	if _, err := p.try(request(t, "2", "ping", `{}`)); !errors.Is(err, ErrEnded) {
		t.Errorf("a later call: %v", err)
	}
}

func Test_a_server_that_closes_stdout_has_ended(t *testing.T) {
	p := start(t, testLimits, nil)
	if _, err := p.try(request(t, "1", "close", `{}`)); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v", err)
	}
	waitFor(t, "Done", func() bool { return ended(p) })
}

func Test_a_program_that_is_not_there(t *testing.T) {
	_, err := Start(Command{Args: []string{filepath.Join(t.TempDir(), "none")}}, testLimits, quiet(), nil)
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func Test_the_environment_is_what_is_listed(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", "not for servers")
	p := start(t, testLimits, nil, "A=1", "EMPTY=", "B=x=y")
	want := `{"jsonrpc":"2.0","id":1,"result":{"value":["A=1","EMPTY=","B=x=y","` + serverMode + `=plain"]}}`
	if got := call(t, p, "1", "environment", `{}`); got != want {
		t.Errorf("got %s", got)
	}
}

func Test_an_empty_environment_is_not_ours(t *testing.T) {
	t.Setenv(serverMode, "plain") // were it inherited, the child would be a server
	p, err := Start(Command{Args: []string{os.Args[0], "-test.run=^$"}, Dir: t.TempDir()}, testLimits, quiet(), func(*wire.Message, any) {})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.try(request(t, "1", "ping", `{}`)); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v", err)
	}
}

func Test_the_folder_is_the_configured_one(t *testing.T) {
	p := start(t, testLimits, nil)
	if got := call(t, p, "1", "folder", `{}`); !strings.Contains(got, filepath.Base(p.cmd.Dir)) {
		t.Errorf("got %s, want %s", got, p.cmd.Dir)
	}
}

func Test_a_message_over_the_bound_is_never_held(t *testing.T) {
	p := start(t, testLimits, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := p.try(request(t, "1", "huge", `{"n":200}`)) // MiB
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 16*uint64(testLimits.MessageBytes) {
		t.Errorf("%d bytes were allocated for a bound of %d", used, testLimits.MessageBytes)
	}
	waitFor(t, "the end of the process", func() bool { return ended(p) })
}

func Test_a_server_that_does_not_read_is_given_up(t *testing.T) {
	limits := testLimits
	limits.WriteTimeout = 200 * time.Millisecond
	p := start(t, limits, nil)
	call(t, p, "1", "deaf", `{}`)
	big := request(t, "2", "ping", `{"text":"`+strings.Repeat("x", 1<<20)+`"}`)
	began := time.Now()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if _, err := p.try(big); !errors.Is(err, ErrEnded) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the calls failed after %s", took)
	}
	waitFor(t, "the end of the process", func() bool { return ended(p) })
	if err := p.Send(context.Background(), wire.NewNotification("x", nil)); !errors.Is(err, ErrEnded) {
		t.Errorf("a later notification: %v", err)
	}
}

func Test_what_is_written_is_one_line(t *testing.T) {
	p := start(t, testLimits, nil)
	if err := p.Send(context.Background(), []byte("{\"jsonrpc\":\"2.0\",\r\n\"method\":\"notifications/x\"\n}")); err != nil {
		t.Fatal(err)
	}
	if got := call(t, p, "1", "seen", "{\n\"a\":1}"); !strings.Contains(got, `[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":1,"method":"seen"`) {
		t.Errorf("the server saw %s", got)
	}
}

type reason string

func (r reason) Error() string        { return "a reason" }
func (r reason) CancelReason() string { return string(r) }

func Test_cancelling_names_our_id(t *testing.T) {
	p := start(t, testLimits, nil)
	ctx, stop := context.WithCancelCause(context.Background())
	stop(reason(`"quoted"`))
	if _, err := p.Call(ctx, request(t, `"client-id"`, "hang", `{}`)); !errors.Is(err, reason(`"quoted"`)) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Call(ctx, request(t, "2", wire.MethodInitialize, `{}`)); !errors.Is(err, reason(`"quoted"`)) {
		t.Errorf("got %v", err)
	}
	got := call(t, p, "3", "seen", `{}`)
	if !strings.Contains(got, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"\"quoted\""}}`) {
		t.Errorf("the server saw %s", got)
	}
	// "The initialize request MUST NOT be cancelled by clients."
	if strings.Count(got, "notifications/cancelled") != 1 || !strings.Contains(got, `"method":"initialize"`) {
		t.Errorf("the server saw %s", got)
	}
}

func Test_close_fails_the_calls_in_flight(t *testing.T) {
	p := start(t, testLimits, nil)
	failed := make(chan error, 1)
	go func() {
		_, err := p.try(request(t, "1", "hang", `{}`))
		failed <- err
	}()
	waitFor(t, "the call", func() bool { return strings.Contains(call(t, p, "2", "seen", `{}`), "hang") })
	p.Close()
	if err := <-failed; !errors.Is(err, ErrEnded) {
		t.Errorf("got %v", err)
	}
	p.Close() // a second time does no harm
}
