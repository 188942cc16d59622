package gateway

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	"gatehouse/internal/decision"
	"gatehouse/internal/wire"
)

// callState is what a modern client carries from one try of a call to the next.
// "requestState … MUST be treated as attacker-controlled": it is sealed, and bound
// to the principal, to the request and to a time.
type callState struct {
	Errand    string            `json:"errand,omitempty"` // the call that waits; "" if none does
	Principal string            `json:"principal"`
	Request   string            `json:"request"` // digest of what is asked for
	Expires   int64             `json:"expires"` // Unix seconds
	Asked     map[string]string `json:"asked"`   // digest of each question, by its key
}

// sealer seals call states with AES-256-GCM.
type sealer struct{ aead cipher.AEAD }

// newSealer derives its key from a secret, so that a state survives a restart;
// without one the key lives as long as the program.
func newSealer(secret string) (sealer, error) {
	material := []byte(secret)
	if secret == "" {
		material = make([]byte, 32)
		_, _ = rand.Read(material) // never fails (crypto/rand)
	}
	key, err := hkdf.Key(sha256.New, material, nil, "gatehouse request state 1", 32)
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

func (s sealer) seal(state *callState) (string, error) {
	plain, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, nil)), nil
}

// maxState bounds a state that is presented: ours hold a few digests.
const maxState = 64 << 10

// open reads a state that this gateway sealed for this principal and request and
// that has not expired. Whatever is wrong with another one is not told.
func (s sealer) open(text, principal, request string) (*callState, error) {
	invalid := decision.Refuse(decision.InvalidArguments, "requestState is not one of this call, or has expired; call again without it")
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
	state := &callState{}
	if json.Unmarshal(plain, state) != nil || state.Principal != principal || state.Request != request ||
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
	sum := sha256.Sum256(append([]byte(method+"\x00"), wire.Canonical(params)...))
	return hex.EncodeToString(sum[:])
}
