package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"

	secretstore "gatehouse/internal/secret"
)

func Test_references_to_stores_are_resolved(t *testing.T) {
	keyring.MockInit()
	dir := t.TempDir()
	t.Setenv("GATEHOUSE_AGE_IDENTITY", filepath.Join(dir, "identity.txt"))
	age := secretstore.Age{Dir: dir, Identity: filepath.Join(dir, "identity.txt")}
	if err := age.Set("token", "from-age"); err != nil {
		t.Fatal(err)
	}
	if err := (secretstore.Keyring{}).Set("tickets/TOKEN", "from-keyring"); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		"keyring:tickets/TOKEN":                     "from-keyring",
		"age:token.age":                             "from-age",
		"Bearer ${keyring:tickets/TOKEN}":           "Bearer from-keyring",
		"${age:token.age}+${keyring:tickets/TOKEN}": "from-age+from-keyring",
		"age:" + filepath.Join(dir, "token.age"):    "from-age",
		"$${keyring:tickets/TOKEN}":                 "${keyring:tickets/TOKEN}",
	} {
		s, err := ParseReference(value, "servers.a.env.B", dir)
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if got, err := s.Resolve(); err != nil || got != want {
			t.Errorf("%s is %q, %v", value, got, err)
		}
		if strings.Contains(s.String(), "from-") {
			t.Errorf("%s is printed as %s", value, s)
		}
	}
	// Whatever its name, a value from a store is kept to its server.
	s, err := ParseReference("keyring:tickets/TOKEN", "", dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := (Server{Env: map[string]Secret{"REGION": s}}).Secrets(); len(got) != 1 || got[0] != "from-keyring" {
		t.Errorf("the secrets of the server are %d", len(got))
	}
}

func Test_references_to_what_is_not_there_name_the_field(t *testing.T) {
	keyring.MockInit()
	dir := t.TempDir()
	t.Setenv("GATEHOUSE_AGE_IDENTITY", filepath.Join(dir, "identity.txt"))
	age := secretstore.Age{Dir: dir, Identity: filepath.Join(dir, "identity.txt")}
	if err := age.Set("blank", "\n"); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"keyring:nobody", "age:nothing.age", "age:blank.age"} {
		s, err := ParseReference(value, "servers.a.env.B", dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Resolve(); err == nil || got != "" || !strings.HasPrefix(err.Error(), "servers.a.env.B: "+s.String()) {
			t.Errorf("%s is %q, %v", value, got, err)
		}
	}
	for _, value := range []string{"keyring:", "keyring:../x", "keyring:a b", "age:", "age:a\nb", "${keyring:}"} {
		if s, err := ParseReference(value, "", dir); err == nil || !strings.Contains(err.Error(), "really begins so") {
			t.Errorf("%q is read as %v: %v", value, s, err)
		}
	}
}
