package cli

import (
	"path/filepath"
	"slices"
	"testing"

	"gatehouse/internal/client"
	"gatehouse/internal/inventory"
	"gatehouse/internal/secret"
)

func Test_tokens_are_found_where_they_stand_and_where_references_lead(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GATEHOUSE_AGE_IDENTITY", filepath.Join(dir, "identity.txt"))
	if err := (secret.Age{Dir: dir, Identity: filepath.Join(dir, "identity.txt")}).Set("kept", "github_pat_kept"); err != nil {
		t.Fatal(err)
	}
	e := client.Entry{File: filepath.Join(dir, "mcp.json"), Env: []client.Value{
		{Name: "API_TOKEN", Kind: client.Literal, Raw: "s3cr3t-of-the-file-12345"},
		{Name: "KEPT", Kind: client.Reference, Raw: "age:kept.age", Reference: "age:kept.age"},
		{Name: "GONE", Kind: client.Reference, Raw: "age:gone.age", Reference: "age:gone.age"},
		{Name: "THEIRS", Kind: client.Reference, Raw: "${env:THEIRS}", Reference: "${env:THEIRS}"},
		{Name: "MODE", Kind: client.Literal, Raw: "read"},
	}, Headers: []client.Value{{Name: "Authorization", Kind: client.Literal, Raw: "Bearer h3ad3r-of-the-file-12345"}}}
	got := tokensOf(inventory.Server{Entries: []client.Entry{e}})
	if want := []string{"s3cr3t-of-the-file-12345", "h3ad3r-of-the-file-12345", "github_pat_kept"}; !slices.Equal(got, want) {
		t.Errorf("have %q, want %q", got, want)
	}
}
