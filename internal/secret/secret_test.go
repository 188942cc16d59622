package secret

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"
)

func stores(t *testing.T) map[string]Store {
	keyring.MockInit()
	dir := t.TempDir()
	return map[string]Store{
		"keyring": Keyring{},
		"age":     Age{Dir: filepath.Join(dir, "secrets"), Identity: filepath.Join(dir, "config", "identity.txt")},
	}
}

func Test_what_is_kept_comes_back(t *testing.T) {
	for name, s := range stores(t) {
		for _, value := range []string{"tok", "-----BEGIN KEY-----\nabc\n-----END KEY-----\n", lineMark + "x", "ünï\"'\\ code"} {
			if err := s.Set("github/TOKEN", value); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, err := s.Get("github/TOKEN"); err != nil || got != value {
				t.Errorf("%s gives %q for %q: %v", name, got, value, err)
			}
		}
		if err := errors.Join(s.Delete("github/TOKEN"), s.Delete("github/TOKEN")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Get("github/TOKEN"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s, after it was deleted: %v", name, err)
		}
	}
}

func Test_names_that_lead_elsewhere_are_refused(t *testing.T) {
	for store, s := range stores(t) {
		for _, name := range []string{"", "..", "a/../b", "/etc/x", "a//b", ".hidden", "a/b/c/d/e", `a\b`, "a b", "a\nb", strings.Repeat("a", 101)} {
			_, err := s.Get(name)
			if errors.Is(err, ErrNotFound) || err == nil || s.Set(name, "x") == nil || s.Delete(name) == nil {
				t.Errorf("%s takes the name %q", store, name)
			}
		}
		if s.Set("a", "") == nil || s.Set("a", strings.Repeat("x", maxBytes+1)) == nil {
			t.Errorf("%s takes a secret of no bytes, or of too many", store)
		}
	}
}

func Test_a_keyring_that_is_not_there(t *testing.T) {
	keyring.MockInitWithError(errors.New("no bus"))
	defer keyring.MockInit()
	if err := (Keyring{}).Available(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Available says %v", err)
	}
	if _, err := (Keyring{}).Get("a"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
		t.Errorf("Get says %v", err)
	}
	keyring.MockInit()
	if err := (Keyring{}).Available(); err != nil {
		t.Error(err)
	}
}

func Test_age_files_are_encrypted_and_private(t *testing.T) {
	dir := t.TempDir()
	a := Age{Dir: filepath.Join(dir, "secrets"), Identity: filepath.Join(dir, "identity.txt")}
	if err := a.Set("s/TOKEN", "hunter2-hunter2"); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(a.Reference("s/TOKEN"), "age:")
	raw, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(raw), "hunter2") {
		t.Errorf("the file holds the secret as it is (%v)", err)
	}
	if got, err := Decrypt(path, a.Identity); err != nil || got != "hunter2-hunter2" {
		t.Errorf("%q, %v", got, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, file := range []string{path, a.Identity} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if err := os.Chmod(a.Identity, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Get("s/TOKEN"); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read is used: %v", err)
	}
	if err := a.Set("s/TOKEN", "other"); err == nil {
		t.Error("a secret is encrypted for a key that others can read")
	}
}

func Test_another_key_and_damage_do_not_open(t *testing.T) {
	one, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := Seal([]byte("plain"), one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(sealed, 100, two); err == nil {
		t.Error("another key opens it")
	}
	if _, err := Open(sealed, 4, one); err == nil {
		t.Error("more than the limit is given")
	}
	for i := range sealed {
		damaged := append([]byte(nil), sealed...)
		damaged[i] ^= 1
		if plain, err := Open(damaged, 100, one); err == nil {
			t.Fatalf("damaged at byte %d it reads %q", i, plain)
		}
	}
	if _, err := Seal(nil, "no key"); err == nil || strings.Contains(err.Error(), "no key") == false {
		t.Errorf("%v", err)
	}
}

func Test_an_identity_that_is_there_is_never_replaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.txt")
	first, err := EnsureIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := EnsureIdentity(path); err != nil || again != first {
		t.Errorf("the key changed: %v", err)
	}
	if err := keepIdentity(path, "another"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key that came meanwhile is replaced: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the key lie %v, %v", entries, err)
	}
	if err := os.WriteFile(path, []byte("not a key AGE-SECRET-KEY-1QQQQ\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := EnsureIdentity(path); err == nil || strings.Contains(err.Error(), "QQQQ") {
		t.Errorf("what is no key is used or repeated: %v", err)
	}
	if raw, _ := os.ReadFile(path); !strings.Contains(string(raw), "QQQQ") {
		t.Error("the file was replaced")
	}
	t.Setenv("GATEHOUSE_AGE_IDENTITY", path)
	if got, err := IdentityFile(); err != nil || got != path {
		t.Errorf("%s, %v", got, err)
	}
}
