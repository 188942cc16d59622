package argumentsql

import (
	"strings"
	"testing"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/ruletest"
)

func TestRule(t *testing.T) { ruletest.Run(t, Rule) }

func judged(t *testing.T, name, key, text string) rule.Match {
	t.Helper()
	matches, err := Rule.Detect(rule.Subject{Surface: rule.Arguments, Name: name, Key: key, Text: text})
	if err != nil || len(matches) > 1 {
		t.Fatalf("%q gives %v, %v", text, matches, err)
	}
	if len(matches) == 0 {
		return rule.Match{}
	}
	return Rule.Rated(matches[0])
}

func Test_a_value_that_breaks_out_is_refused(t *testing.T) {
	for _, text := range []string{
		"1 or 1=1", "1' or '1'='1", `1" or "a"="a`, "x') or ('a'='a", "1'/**/or/**/1=1", "1'%20or%201=1--", "' or true--", "1' || '1'='1", "admin'--", "admin' #", "admin'/*",
		"1 union select name, pass from users", "x' UNION ALL SELECT null,null-- -", "x'/*!50000union*/select 1", "-1 union\nselect 1",
		"1; drop table users", "x'; exec xp_cmdshell 'dir'", "a;delete from t", "1'; waitfor delay '0:0:5'--", "1' and sleep(5)#", "1 and extractvalue(1,concat(0x7e,version()))' or extractvalue(1,2)", "1' and (select 1 from dual)--",
	} {
		if m := judged(t, "get_user", "id", text); m.Confidence < rule.Hard || m.Action != rule.Refuse {
			t.Errorf("%q gives %+v", text, m)
		}
		if m := judged(t, "write_file", "content", text); m.Confidence != 0 {
			t.Errorf("%q in a text gives %+v", text, m)
		}
	}
}

func Test_statements_for_a_database_are_its_own_matter(t *testing.T) {
	for _, text := range []string{
		"SELECT * FROM users WHERE id = 1 OR 1=1", "DROP TABLE users; DELETE FROM t", "select 1 union select 2 -- both", "UPDATE t SET a='x' WHERE b='y' or '1'='1'", "COPY t FROM STDIN", "SELECT pg_sleep(1)", "select sleep(2)",
	} {
		if m := judged(t, "query", "sql", text); m.Confidence != 0 {
			t.Errorf("%q gives %+v", text, m)
		}
	}
	for _, text := range []string{
		"EXEC xp_cmdshell 'dir'", "COPY t TO PROGRAM 'sh'", "copy (select 1)\nto program 'id'", "select 1 into outfile '/tmp/x'", "select load_file('/etc/passwd')", "select pg_read_file('x')", "select load_extension('x')",
	} {
		if m := judged(t, "query", "sql", text); m.Confidence == 0 || m.Confidence >= rule.Hard {
			t.Errorf("%q gives %+v", text, m)
		}
	}
}

func Test_padding_hides_nothing_in_a_value(t *testing.T) {
	for _, text := range []string{"1'" + strings.Repeat(" ", 2*maxValue) + "or '1'='1", "1'/*" + strings.Repeat("x", 2*maxValue) + "*/or '1'='1", strings.Repeat("x", 2*maxValue) + "' or '1'='1"} {
		if m := judged(t, "get_user", "id", text); m.Confidence < rule.Hard {
			t.Errorf("%.40q gives %+v", text, m)
		}
	}
	if m := judged(t, "get_user", "id", strings.Repeat("a few words, ", maxValue)+"x' or '1'='1"); m.Confidence != reported {
		t.Errorf("a long text gives %+v", m)
	}
}

func Test_ordinary_values_are_silent(t *testing.T) {
	for _, text := range []string{
		"42", "O'Brien", "Select Committee; Union Square", "rock 'n' roll", "5' 11\" -- tall", "it's 1 or 2", "drop table lamp", "x;y;z", "union select", "a or b = c", "user@example.com", "100%", "C# or F#", "'quoted'", "O'Neil and Sons", "1 and 2", "name asc; id desc", "--help", "'a' or 'b'", "1=1",
	} {
		if m := judged(t, "get_user", "name", text); m.Confidence != 0 {
			t.Errorf("%q gives %+v", text, m)
		}
	}
}

func Fuzz_plain_is_stable(f *testing.F) {
	for _, seed := range []string{"/*", "/**/", "a/*!5 b*/c", "%27", "%2f%2a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := plain(text)
		if strings.Contains(got, "  ") || len(got) > 3*len(text)+2 {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}
