//go:build unix

package oidc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/test/program"
)

// object is a JSON object.
type object = map[string]any

// patience is how long a page may take to look as it should. The machine may be busy
// with other things.
const patience = time.Minute

// browser is a Chromium without a window. It is spoken to by the DevTools protocol
// over two pipes, in which each message ends with a NUL.
type browser struct {
	t   *testing.T
	out io.Writer

	mu      sync.Mutex
	last    int
	waiting map[int]chan spoken
	gone    error // why there will be no more answers
}

// spoken is a message of the protocol: an answer, or an event, which has no id.
type spoken struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// chromium finds the program, which `make tools` installs where it can.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	program.Missing(t, "there is no Chromium; on Debian: apt-get install chromium")
	return ""
}

// browse starts a browser with a profile of its own. It reaches this machine and
// nothing else.
func browse(t *testing.T) *browser {
	t.Helper()
	dir := t.TempDir()
	args := []string{
		"--headless", "--remote-debugging-pipe", "--user-data-dir=" + dir, "--window-size=1400,1000",
		"--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-component-update",
		"--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--no-proxy-server",
	}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox") // root cannot have one
	}
	command := exec.Command(chromium(t), append(args, "about:blank")...)
	command.Env = append(os.Environ(), "HOME="+dir)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all its processes can be ended
	fromUs, toBrowser, err1 := os.Pipe()
	fromBrowser, toUs, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	command.ExtraFiles = []*os.File{fromUs, toUs} // it reads 3 and writes 4
	printed := &program.Output{}
	if err := program.Start(command, printed); err != nil {
		t.Fatal(err)
	}
	fromUs.Close()
	toUs.Close()
	b := &browser{t: t, out: toBrowser, waiting: map[int]chan spoken{}}
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		b.listen(fromBrowser)
	}()
	t.Cleanup(func() {
		toBrowser.Close()
		syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // it has nothing to keep
		command.Wait()
		<-listening
		fromBrowser.Close()
		if t.Failed() {
			t.Logf("the browser printed:\n%s", printed)
		}
	})
	return b
}

// listen hands each answer to whoever waits for it.
func (b *browser) listen(from io.Reader) {
	r := bufio.NewReader(from)
	for {
		raw, err := r.ReadBytes(0)
		var m spoken
		if err == nil {
			err = json.Unmarshal(raw[:len(raw)-1], &m)
		}
		b.mu.Lock()
		if err != nil {
			b.gone = err
			for _, c := range b.waiting {
				close(c)
			}
			b.mu.Unlock()
			return
		}
		if c := b.waiting[m.ID]; c != nil {
			delete(b.waiting, m.ID)
			c <- m
		}
		b.mu.Unlock()
	}
}

// do carries out one command and reads its result; the session is "" for the browser
// itself.
func (b *browser) do(session, method string, params object, result any) error {
	answer := make(chan spoken, 1)
	b.mu.Lock()
	b.last++
	id, gone := b.last, b.gone
	if gone == nil {
		b.waiting[id] = answer
	}
	b.mu.Unlock()
	if gone != nil {
		return fmt.Errorf("the browser has ended: %w", gone)
	}
	message := object{"id": id, "method": method, "params": params}
	if session != "" {
		message["sessionId"] = session
	}
	raw, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := b.out.Write(append(raw, 0)); err != nil {
		return err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return errors.New("the browser has ended")
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-late.C:
		return fmt.Errorf("%s: no answer within %v", method, patience)
	}
}

// page is one tab.
type page struct {
	*browser
	session string
}

// open opens a tab.
func (b *browser) open(url string) *page {
	b.t.Helper()
	var target struct{ TargetID string }
	if err := b.do("", "Target.createTarget", object{"url": url}, &target); err != nil {
		b.t.Fatal(err)
	}
	var attached struct{ SessionID string }
	if err := b.do("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		b.t.Fatal(err)
	}
	return &page{browser: b, session: attached.SessionID}
}

// evaluate computes a JavaScript expression in the page.
func (p *page) evaluate(expression string, result any) error {
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text      string                       `json:"text"`
			Exception struct{ Description string } `json:"exception"`
		} `json:"exceptionDetails"`
	}
	if err := p.do(p.session, "Runtime.evaluate", object{"expression": expression, "returnByValue": true, "userGesture": true}, &answer); err != nil {
		return err
	}
	if e := answer.ExceptionDetails; e != nil {
		return fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	if answer.Result.Value == nil {
		return errors.New("the expression has no value")
	}
	return json.Unmarshal(answer.Result.Value, result)
}

// await asks until an expression is true. Between two pages nothing can be asked; that
// is one more reason to ask again.
func (p *page) await(what, expression string) {
	p.t.Helper()
	late := time.After(patience)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		var yes bool
		err := p.evaluate("Boolean("+expression+")", &yes)
		if yes && err == nil {
			return
		}
		select {
		case <-again.C:
		case <-late:
			p.picture("late")
			var text string
			_ = p.evaluate("location.href + '\\n' + document.body.innerText", &text) // there may be no page at all
			p.t.Fatalf("waited %v for %s (%v); the page says:\n%s", patience, what, err, text)
		}
	}
}

// labelled is an expression for the last element of a kind that says exactly this, but
// for the star of what must be filled in. Boxes that hold it come before it.
func labelled(kind, says string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].findLast(e => e.innerText.replace('*', '').trim() === %q)`, kind, says)
}

// click waits for something and clicks it.
func (p *page) click(what, expression string) {
	p.t.Helper()
	p.await(what, expression)
	var done bool
	if err := p.evaluate("("+expression+").click() || true", &done); err != nil {
		p.t.Fatalf("clicking %s: %v", what, err)
	}
}

// fill waits for a field and types into it.
func (p *page) fill(what, expression, text string) {
	p.t.Helper()
	p.await(what, expression)
	var done bool
	if err := p.evaluate("("+expression+").focus() || true", &done); err != nil {
		p.t.Fatalf("going to %s: %v", what, err)
	}
	if err := p.do(p.session, "Input.insertText", object{"text": text}, nil); err != nil {
		p.t.Fatalf("typing into %s: %v", what, err)
	}
}

// says is an expression for a page that shows a text.
func says(text string) string {
	return fmt.Sprintf("document.body.innerText.includes(%q)", text)
}

// picture stores what the page looks like among the artifacts of the test, which
// "go test -artifacts" keeps.
func (p *page) picture(name string) {
	p.t.Helper()
	var shot struct{ Data []byte } // JSON has bytes in Base64
	err := p.do(p.session, "Page.captureScreenshot", object{"format": "png"}, &shot)
	if err == nil {
		err = os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), shot.Data, 0o600)
	}
	if err != nil {
		p.t.Logf("no picture %s: %v", name, err)
	}
}
