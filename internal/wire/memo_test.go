package wire

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A Memo must read exactly what Parse reads, whatever it has read before.
func Test_a_memo_reads_as_parse_does(t *testing.T) {
	list := `{"jsonrpc":"2.0","id":%s,"result":{"tools":[` + strings.Repeat(`{"name":"a\n"},`, memoLeast/10) + `{}],"more":"x"}}`
	other := strings.Replace(list, "more", "mare", 1)
	tail := `{"result":{"tools":[` + strings.Repeat(`{"name":"a"},`, memoLeast/10) + `{}]},"jsonrpc":"2.0","id":%s}`
	var memo Memo
	for _, text := range []string{list, list, other, tail, tail, list} {
		for _, id := range []string{"1", "7", "12", "0", "-3", `"s"`, "123456789012345678", "1234567890123456789", "01", "1.5", "1e2", "", "null", `1,"x":2`, `1,"id":2`, "12"} {
			raw := fmt.Sprintf(text, id)
			want, wantErr := Parse([]byte(raw), Limits{})
			got, err := memo.Parse([]byte(raw), Limits{})
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("id %s: %v, want %v", id, err, wantErr)
			}
			if !reflect.DeepEqual(want, got) {
				t.Fatalf("id %s: another message", id)
			}
		}
	}
	if n := len(memo.lists); n == 0 || n > memoKept {
		t.Errorf("%d lists are kept", n)
	}
}

func Test_a_memo_keeps_lists_only(t *testing.T) {
	var memo Memo
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"content":[%s]}}`,
		`{"jsonrpc":"2.0","id":"a","result":{"tools":[%s]}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools","params":{"tools":[%s]}}`,
	} {
		raw := fmt.Sprintf(text, strings.Repeat(`"text",`, memoLeast)+`"text"`)
		if _, err := memo.Parse([]byte(raw), Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(memo.lists) > 0 {
		t.Errorf("%d texts are kept", len(memo.lists))
	}
	raw := []byte(`{"jsonrpc":"2.0","id":1,"result":{"tools":["` + strings.Repeat("x", memoLeast) + `"]}}`)
	if _, err := memo.Parse(raw, Limits{}); err != nil || len(memo.lists) != 1 {
		t.Errorf("%v, %d texts are kept", err, len(memo.lists))
	}
	// A bound that became smaller holds for what is known, too.
	if _, err := memo.Parse(raw, Limits{Bytes: len(raw) - 1}); err == nil {
		t.Error("a text over the bound was read")
	}
}
