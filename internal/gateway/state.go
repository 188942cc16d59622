package gateway

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// callState is what a modern client carries from one try of a call to the next.
// "requestState … MUST be treated as attacker-controlled": it is sealed, and bound
// to the principal, to the request and to a time.
type callState struct {
	Errand    string // the call that waits; "" if none does
	Principal string
	Request   string            // digest of what is asked for
	Expires   int64             // Unix seconds
	Asked     map[string]string // digest of each question, by its key
}

func (c *callState) encode() []byte {
	var asked []wire.Change
	for key, digest := range c.Asked {
		asked = append(asked, wire.Change{Key: key, Raw: wire.AppendString(nil, digest)})
	}
	return object(
		wire.Change{Key: "errand", Raw: wire.AppendString(nil, c.Errand)},
		wire.Change{Key: "principal", Raw: wire.AppendString(nil, c.Principal)},
		wire.Change{Key: "request", Raw: wire.AppendString(nil, c.Request)},
		wire.Change{Key: "expires", Raw: strconv.AppendInt(nil, c.Expires, 10)},
		wire.Change{Key: "asked", Raw: object(asked...)})
}

func decodeCallState(plain []byte) (*callState, error) {
	doc, err := wire.Scan(plain, wire.Limits{})
	if err != nil {
		return nil, err
	}
	c := &callState{Errand: doc.Root.Get("errand").Text(), Principal: doc.Root.Get("principal").Text(),
		Request: doc.Root.Get("request").Text(), Asked: map[string]string{}}
	c.Expires, _ = doc.Root.Get("expires").Int()
	for key, digest := range doc.Root.Get("asked").Members() {
		c.Asked[key] = digest.Text()
	}
	return c, nil
}

// sealer seals call states with AES-256-GCM.
type sealer struct{ aead cipher.AEAD }

// newSealer derives its key from a secret.
func newSealer(secret string) (sealer, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "gatehouse request state 1", 32)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

func (s sealer) seal(state *callState) string {
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, state.encode(), nil))
}

// maxState bounds a state that is presented: ours hold a few digests.
const maxState = 64 << 10

// open reads a state that this gateway sealed for this principal and request and
// that has not expired. Whatever is wrong with another one is not told.
func (s sealer) open(text, principal, request string) (*callState, error) {
	invalid := &protocolError{code: wire.CodeInvalidParams, status: http.StatusOK, refusal: decision.Refuse(decision.InvalidArguments,
		"requestState is not one of this call, or has expired; call again without it")}
	if len(text) > maxState {
		return nil, invalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, invalid
	}
	plain, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, invalid
	}
	state, err := decodeCallState(plain)
	if err != nil || state.Principal != principal || state.Request != request ||
		time.Now().Unix() >= state.Expires {
		return nil, invalid
	}
	return state, nil
}

// requestDigest is what a call asks for: server, method and parameters, but for
// what differs from one try to the next.
func requestDigest(server string, m *wire.Message) string {
	params := updated(m.Params, wire.Change{Key: "_meta"}, wire.Change{Key: "inputResponses"}, wire.Change{Key: "requestState"})
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(server), []byte(m.Method), wire.Canonical(params)} {
		_, _ = sum.Write(append(part, 0)) // never fails (hash.Hash); JSON text and names have no NUL
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// questionDigest tells one question of a server from another.
func questionDigest(method string, params []byte) string {
	if params == nil { // roots/list needs none
		params = []byte(`{}`)
	}
	sum := sha256.Sum256(append([]byte(method+"\x00"), wire.Canonical(params)...))
	return hex.EncodeToString(sum[:])
}
