package oauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func right(answer url.Values) bool { return answer.Get("state") == "right" }

func TestLoopback_waits_for_the_right_answer(t *testing.T) {
	l, err := Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	uri := l.RedirectURI()
	if !strings.HasPrefix(uri, "http://127.0.0.1:") || !strings.HasSuffix(uri, redirectPath) {
		t.Fatalf("redirect URI %q", uri)
	}
	get := func(method, address, host string) int {
		req, err := http.NewRequest(method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer resp.Body.Close()
		page, _ := io.ReadAll(resp.Body)
		if strings.Contains(string(page), "canary") {
			t.Errorf("the page repeats the request: %s", page)
		}
		if resp.Header.Get("Content-Security-Policy") == "" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("headers %v", resp.Header)
		}
		return resp.StatusCode
	}
	l.Show = func(target string) {
		if target != "https://auth.example.com/" {
			t.Errorf("shown %q", target)
		}
		go func() {
			for _, wrong := range []struct{ method, address, host string }{
				{"GET", uri, ""},
				{"GET", uri + "?state=canary&code=x", ""},
				{"GET", uri + "?state=right&code=canary", "evil.example"},
				{"GET", strings.Replace(uri, redirectPath, "/other", 1) + "?state=right&code=canary", ""},
				{"POST", uri + "?state=right&code=canary", ""},
				{"GET", uri + "?state=right;code=canary", ""},
			} {
				if status := get(wrong.method, wrong.address, wrong.host); status != http.StatusBadRequest {
					t.Errorf("%v: status %d", wrong, status)
				}
			}
			if status := get("GET", uri+"?state=right&code=good", ""); status != http.StatusOK {
				t.Errorf("the right answer: status %d", status)
			}
		}()
	}
	answer, err := l.Visit(t.Context(), "https://auth.example.com/", right)
	if err != nil || answer.Get("code") != "good" {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestLoopback_ends_when_it_is_told_to(t *testing.T) {
	l, err := Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	l.Show = func(string) { cancel(gone) }
	if _, err := l.Visit(ctx, "https://auth.example.com/", right); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

func TestPasted(t *testing.T) {
	for pasted, good := range map[string]bool{
		"http://127.0.0.1:8849/callback?state=right&code=c": true,
		"http://127.0.0.1:8849/callback?state=wrong&code=c": false,
		"?state=right&code=c":                               true,
		"state=right&code=c":                                false,
		"http://127.0.0.1:8849":                             false,
		"http://[":                                          false,
		"":                                                  false,
	} {
		p := &Pasted{Ask: func(context.Context, string) (string, error) { return pasted, nil }}
		answer, err := p.Visit(t.Context(), "https://auth.example.com/", right)
		if (err == nil) != good || (good && answer.Get("code") != "c") {
			t.Errorf("%q: %v, %v", pasted, answer, err)
		}
	}
	if got := (&Pasted{Port: 9}).RedirectURI(); got != "http://127.0.0.1:9/callback" {
		t.Errorf("redirect URI %q", got)
	}
}
