package sandbox_test

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatehouse/test/program"
)

// cluster is an API server with one pod, which is a folder of this machine.
type cluster struct {
	*httptest.Server
	config string // a kubeconfig
	pod    string

	mu  sync.Mutex
	got bytes.Buffer // the configmaps that were made
}

func newCluster(t *testing.T, work string) *cluster {
	t.Helper()
	c := &cluster{pod: filepath.Join(work, "pod")}
	openFile(t, "web 1.0\n", c.pod, "version")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/default/pods/web/exec", c.exec)
	mux.HandleFunc("POST /api/v1/namespaces/default/configmaps", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, _ = io.Copy(&c.got, r.Body)
		w.WriteHeader(http.StatusCreated)
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	c.config = openFile(t, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "%s", insecure-skip-tls-verify: true}}]
users: [{name: test, user: {token: of-the-test}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, c.URL), work, "kube", "config")
	return c
}

// received says whether a text was in a configmap since it was last asked.
func (c *cluster) received(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.got.Reset()
	return strings.Contains(c.got.String(), text)
}

// injected says whether a file is in the pod that only an injected command makes, and
// takes it away.
func (c *cluster) injected() bool { return os.Remove(filepath.Join(c.pod, "injected")) == nil }

// Channels of the Kubernetes protocol for what runs in a pod.
const (
	output = 1
	status = 3
)

// exec runs a command in the pod and sends what it prints over a WebSocket.
func (c *cluster) exec(w http.ResponseWriter, r *http.Request) {
	command := r.URL.Query()["command"]
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil || len(command) == 0 {
		http.Error(w, "not a command", http.StatusBadRequest)
		return
	}
	defer conn.Close()
	// RFC 6455, section 1.3: the key, this GUID, SHA-1, base64.
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(accept[:]))
	run := exec.Command(command[0], command[1:]...)
	run.Dir = c.pod
	printed, err := run.CombinedOutput()
	result := `{"status":"Success"}`
	if err != nil {
		result = `{"status":"Failure"}`
	}
	frame(stream, append([]byte{output}, printed...))
	frame(stream, append([]byte{status}, result...))
	_ = stream.Flush()
	_, _ = io.Copy(io.Discard, stream) // until the client has read it and closes
}

// frame sends one binary message. RFC 6455, section 5.2.
func frame(w io.Writer, message []byte) {
	_, _ = w.Write(binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(len(message))))
	_, _ = w.Write(message)
}

// kubernetes is mcp-server-kubernetes 2.9.6 with a kubectl.
func kubernetes(t *testing.T, c *cluster, work string) server {
	t.Helper()
	kubectl := filepath.Join(work, "bin", "kubectl")
	build := exec.Command("go", "build", "-o", kubectl, "./kubectl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return server{
		sandbox: []string{"--sandbox", "node", "--read", c.config, "--execute", kubectl, "--network", c.Listener.Addr().String()},
		pass:    []string{"KUBECONFIG"}, env: []string{"KUBECONFIG=" + c.config, "PATH=" + filepath.Dir(kubectl) + ":" + os.Getenv("PATH")},
		args: []string{program.Node(t), holed(t, "mcp-server-kubernetes/dist/index.js")},
	}
}

// fileOfTheUser makes the server give its cluster a key of
// the user, by an argument for kubectl.
func fileOfTheUser(t *testing.T, gatehouse string) {
	work := folder(t)
	c := newCluster(t, work)
	create := func(file string) map[string]any {
		return map[string]any{"command": "create", "args": []string{"configmap", "made", "--from-file=" + file}}
	}
	s := kubernetes(t, c, work)
	s.works = []call{{"kubectl_generic", create(c.config), "configmap/made created"}} // a file that it was given
	s.attacked(t, gatehouse, work, try{
		what: "a key of the user as a configmap", done: func() bool { return c.received("the secret key") },
		call: call{"kubectl_generic", create(openFile(t, "the secret key\n", work, "home", "key")), ""},
	})
}

// shellInThePod attacks exec_in_pod, which hands a text to a shell in the pod. The
// pod is on another machine, and a sandbox around the server does not see into it: what
// the server may ask of its cluster is for a policy to say.
func shellInThePod(t *testing.T, gatehouse string) {
	work := folder(t)
	c := newCluster(t, work)
	s := kubernetes(t, c, work)
	injection := call{"exec_in_pod", map[string]any{"name": "web", "command": "cat version; touch injected"}, ""}
	for _, confined := range []bool{false, true} {
		if answer := s.start(t, gatehouse, work, confined).tool(injection); !c.injected() {
			t.Fatalf("in a sandbox: %v; without a policy the attack does not work either, so it proves nothing: %s", confined, answer)
		}
	}
	front := serveKubernetes(t, gatehouse, work, s)
	if answer := front.tool(injection); !strings.Contains(answer, "give the command as a list of words") || c.injected() {
		t.Errorf("the injected command was run: %s", answer)
	}
	words := call{"exec_in_pod", map[string]any{"name": "web", "command": []string{"cat", "version"}}, ""}
	if answer := front.tool(words); !strings.Contains(answer, "web 1.0") {
		t.Errorf("an ordinary command is refused: %s", answer)
	}
}

var cedarBlock = regexp.MustCompile("(?s)```cedar\n(.*?)```")

// onlyWords is the policy that the documentation shows, and everything else.
func onlyWords(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	found := cedarBlock.FindAllStringSubmatch(string(text), -1)
	if len(found) != 1 {
		t.Fatalf("%s shows %d policies, want 1", page, len(found))
	}
	return `permit (principal, action in Action::"use", resource);` + "\n" + found[0][1]
}

// front speaks to `gatehouse serve`.
type front struct {
	t            *testing.T
	url, session string
	last         int
}

// serveKubernetes runs the server in the same sandbox, behind a policy.
func serveKubernetes(t *testing.T, gatehouse, work string, s server) *front {
	t.Helper()
	config := map[string]any{
		"state":  t.TempDir(),
		"listen": "127.0.0.1:0",
		"policy": map[string]any{"files": []string{"exec.cedar"}},
		"servers": map[string]any{"cluster": map[string]any{
			"command": s.args, "pass_env": s.pass,
			"sandbox": map[string]any{"preset": "node", "read": []string{s.sandbox[3]}, "execute": []string{s.sandbox[5]}, "network": []string{s.sandbox[7]}},
		}},
	}
	text, err := json.Marshal(config)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(work, "gatehouse.yaml"), text, 0o600))
	must(t, os.WriteFile(filepath.Join(work, "exec.cedar"), []byte(onlyWords(t)), 0o600))
	cmd := exec.Command(gatehouse, "serve")
	cmd.Env, cmd.Dir = append(os.Environ(), s.env...), work
	var printed program.Output
	must(t, program.Start(cmd, &printed))
	t.Cleanup(func() { program.End(cmd, patience) })
	url, err := printed.AwaitURL(patience)
	must(t, err)
	f := &front{t: t, url: url + "/mcp/cluster"}
	f.call("initialize", hello)
	return f
}

func (f *front) tool(x call) string {
	return f.call("tools/call", map[string]any{"name": x.tool, "arguments": x.args})
}

func (f *front) call(method string, params map[string]any) string {
	f.t.Helper()
	f.last++
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": f.last, "method": method, "params": params})
	must(f.t, err)
	request, err := http.NewRequest(http.MethodPost, f.url, bytes.NewReader(body))
	must(f.t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if f.session != "" {
		request.Header.Set("Mcp-Session-Id", f.session)
	}
	answer, err := (&http.Client{Timeout: patience}).Do(request)
	must(f.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(f.t, err)
	f.session = cmp.Or(f.session, answer.Header.Get("Mcp-Session-Id"))
	return string(text)
}
