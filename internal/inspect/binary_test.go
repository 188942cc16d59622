package inspect

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/media"
	"gatehouse/internal/rules/binarycontent"
	"gatehouse/internal/wire"
)

// picture is a PNG with a comment, packed if it is to be.
func picture(width uint32, comment string, pack bool) string {
	chunk := func(kind, data string) string {
		sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(kind+data)))
		return string(binary.BigEndian.AppendUint32(nil, uint32(len(data)))) + kind + data + string(sum)
	}
	size := string(binary.BigEndian.AppendUint32(nil, width))
	note := chunk("tEXt", "Comment\x00"+comment)
	if pack {
		var out bytes.Buffer
		w := zlib.NewWriter(&out)
		w.Write([]byte(comment))
		w.Close()
		note = chunk("zTXt", "Comment\x00\x00"+out.String())
	}
	return "\x89PNG\r\n\x1a\n" + chunk("IHDR", size+size+"\x08\x00\x00\x00\x00") + note + chunk("IDAT", "x") + chunk("IEND", "")
}

func encode(raw string) string { return base64.StdEncoding.EncodeToString([]byte(raw)) }

func block(kind, mimeType, raw string) string {
	return `{"type":"` + kind + `","data":"` + encode(raw) + `","mimeType":"` + mimeType + `"}`
}

var forbidding = word("w", "danger", rule.Match{Action: rule.Redact})

const program = "\x7fELF\x02\x01\x01\x00"

func Test_text_beside_pixels(t *testing.T) {
	withheld := `{"type":"text","text":"` + Withheld("w") + `"}`
	exif := "II*\x00\x08\x00\x00\x00\x01\x00\x0e\x01\x02\x00\x06\x00\x00\x00\x1a\x00\x00\x00\x00\x00\x00\x00danger"
	jpeg := "\xff\xd8\xff\xe1" + string(binary.BigEndian.AppendUint16(nil, uint16(8+len(exif)))) + "Exif\x00\x00" + exif + "\xff\xd9"
	for name, c := range map[string]struct{ text, want string }{
		"a comment":            {block("image", "image/png", picture(1, "some danger", false)), withheld},
		"a packed comment":     {block("image", "image/png", picture(1, "some danger", true)), withheld},
		"a harmless one":       {block("image", "image/png", picture(1, "holiday", true)), ""},
		"exif":                 {block("image", "image/jpeg", jpeg), withheld},
		"svg":                  {block("image", "image/svg+xml", "<svg><text>dan<tspan/></text><title>danger</title></svg>"), withheld},
		"svg entity":           {block("image", "image/svg+xml", "<svg><title>d&#97;nger</title></svg>"), withheld},
		"pdf":                  {`{"uri":"a:","mimeType":"application/pdf","blob":"` + encode("%PDF-1.4 <</Title (dan\\147er)>>") + `"}`, `{"uri":"a:","mimeType":"text/plain","text":"` + Withheld("w") + `"}`},
		"sound":                {block("audio", "audio/mpeg", "ID3\x03\x00\x00\x00\x00\x00\x11TIT2\x00\x00\x00\x07\x00\x00\x00danger"), withheld},
		"text in a blob":       {`{"uri":"a:","blob":"` + encode("so danger ous") + `"}`, `{"uri":"a:","blob":"` + encode("so  ous") + `"}`},
		"bytes in a blob":      {`{"uri":"a:","blob":"` + encode("\x00\x01so danger ous\x00") + `"}`, `{"uri":"a:","text":"` + Withheld("w") + `"}`},
		"control characters":   {`{"uri":"a:","blob":"` + encode("\x00\xff so dan\x08\x00ger ous") + `"}`, `{"uri":"a:","text":"` + Withheld("w") + `"}`},
		"no type named":        {`{"uri":"a:","blob":"` + encode(picture(1, "danger", true)) + `"}`, `{"uri":"a:","text":"` + Withheld("w") + `"}`},
		"an icon":              {`{"src":"data:image/png;base64,` + encode(picture(1, "danger", true)) + `"}`, `{"src":"` + Withheld("w") + `"}`},
		"first member":         {`{"data":"` + encode(picture(1, "danger", false)) + `","annotations":{"x":"danger"},"type":"image"}`, `{"text":"` + Withheld("w") + `","annotations":{"x":""},"type":"text"}`},
		"an object of its own": {`{"blob":"` + encode(picture(1, "danger", false)) + `"}`, `{"blob":"` + encode(Withheld("w")) + `"}`},
		"careless Base64":      {`{"uri":"a:","blob":"` + strings.ReplaceAll(encode("so danger ous"), "Z", "*Z") + `"}`, `{"uri":"a:","text":"` + Withheld("w") + `"}`},
		"no binary":            {`{"level":"info","data":"words"}`, ""},
		"another case":         {`{"Type":"image","Data":"` + encode(picture(1, "danger", false)) + `"}`, `{"Type":"image","Data":"` + encode(Withheld("w")) + `"}`},
		"far from its type":    {`{"type":"image","_meta":[` + strings.Repeat(`"",`, 5000) + `""],"data":"` + encode(picture(1, "danger", false)) + `"}`, `{"type":"text","_meta":[` + strings.Repeat(`"",`, 5000) + `""],"text":"` + Withheld("w") + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == "" {
				c.want = c.text
			}
			text, want := `{"content":[`+c.text+`,{"type":"text","text":"rest"}]}`, `{"content":[`+c.want+`,{"type":"text","text":"rest"}]}`
			out, got := message(t, New([]rule.Rule{forbidding}, nil), text, rule.ToolResult)
			if got != want {
				t.Errorf("%s\nbecame %s\nwant   %s", text, got, want)
			}
			if changed := got != text; changed != (len(out.Findings) > 0) {
				t.Errorf("findings %+v", out.Findings)
			}
			if _, err := wire.Scan([]byte(got), wire.Limits{}); err != nil {
				t.Errorf("%s: %v", got, err)
			}
			_, open := message(t, New([]rule.Rule{forbidding}, map[string]Policy{"w": {Action: Report}}), text, rule.ToolResult)
			if open != text {
				t.Errorf("a rule that only reports changed it to %s", open)
			}
		})
	}
}

func Test_what_binary_content_is(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		policy  Policy
		effects string
		refused bool
		want    string
	}{
		"a picture":        {text: block("image", "image/png", picture(1, "", false))},
		"a program":        {text: block("image", "image/png", program), effects: "refused reported", refused: true},
		"a program passes": {text: block("image", "image/png", program), policy: Policy{Action: Report}, effects: "would-refuse reported"},
		"a program goes":   {text: block("image", "image/png", program), policy: Policy{Action: Redact, Severity: rule.High}, effects: "redacted reported", want: `{"type":"text","text":"` + Withheld("binary-content") + `"}`},
		"a blob":           {text: `{"uri":"a:","mimeType":"image/png","blob":"` + encode(program) + `"}`, effects: "refused reported", refused: true},
		"another name":     {text: block("image", "image/jpeg", picture(1, "", false)), effects: "reported"},
		"too many pixels":  {text: block("image", "image/png", picture(200, "", false)), effects: "redacted", want: `{"type":"text","text":"` + Withheld("binary-content") + `"}`},
		"too large":        {text: block("image", "image/png", picture(1, strings.Repeat("x", 2000), false)), effects: "redacted", want: `{"type":"text","text":"` + Withheld("binary-content") + `"}`},
		"no Base64":        {text: `{"type":"image","mimeType":"image/png","data":"**` + encode(picture(1, "", false)) + `"}`, effects: "reported"},
		"an archive":       {text: `{"uri":"a:","blob":"` + encode("PK\x05\x06"+strings.Repeat("\x00", 18)) + `"}`, effects: "reported"},
	} {
		t.Run(name, func(t *testing.T) {
			i := New([]rule.Rule{binarycontent.Rule}, map[string]Policy{BinaryRule: c.policy}).Bounded(media.Limits{Bytes: 1000, Pixels: 10_000})
			out, got := message(t, i, c.text, rule.ToolResult)
			var effects []string
			for _, f := range out.Findings {
				effects = append(effects, f.Effect)
			}
			if c.want == "" {
				c.want = c.text
			}
			if strings.Join(effects, " ") != c.effects || (out.Refusal != nil) != c.refused || got != c.want {
				t.Errorf("%q, refusal %v, became %s; findings %+v", effects, out.Refusal, got, out.Findings)
			}
			if without, got := message(t, New([]rule.Rule{forbidding}, nil), c.text, rule.ToolResult); len(without.Findings) > 0 || got != c.text {
				t.Errorf("without the rule: %+v, %s", without.Findings, got)
			}
		})
	}
	text := block("image", "image/png", program)
	out, _ := message(t, New([]rule.Rule{binarycontent.Rule}, nil), text, rule.ToolResult)
	accepted := Suppression{Rule: BinaryRule, Digest: out.Findings[0].Digest, Until: time.Now().Add(time.Hour)}
	if out, _ := message(t, New([]rule.Rule{binarycontent.Rule}, nil, accepted), text, rule.ToolResult); out.Refusal != nil || out.Findings[0].Effect != Suppressed {
		t.Errorf("suppressed: %+v", out)
	}
	if out, _ := message(t, New([]rule.Rule{binarycontent.Rule}, nil), `{"src":"data:image/png;base64,`+encode(program)+`"}`, rule.ToolDefinition); len(out.Findings) == 0 || out.Findings[0].Effect != Objected {
		t.Errorf("in a definition: %+v", out.Findings)
	}
}

// Bytes of a picture are no hidden characters.
func Test_control_characters_in_a_picture(t *testing.T) {
	i := New([]rule.Rule{word("w", "\x08", rule.Match{Action: rule.Redact})}, nil)
	text := `{"uri":"a:","blob":"` + encode(picture(1, "", false)+"\x08\x1b[8m") + `"}`
	if out, got := message(t, i, text, rule.ResourceContents); got != text || len(out.Findings) > 0 {
		t.Errorf("%+v, %s", out.Findings, got)
	}
}

// What is too large is looked at as far as it may be large.
func Test_the_beginning_of_what_is_too_large_is_shown(t *testing.T) {
	i := New([]rule.Rule{forbidding}, nil).Bounded(media.Limits{Bytes: 1000})
	text := block("image", "image/png", picture(1, "danger", false)+strings.Repeat("\x00", 5000))
	if out, got := message(t, i, text, rule.ToolResult); len(out.Findings) != 1 || strings.Contains(got, "image") {
		t.Errorf("%+v, %.100s", out.Findings, got)
	}
}

func Test_an_order_in_pieces(t *testing.T) {
	i := New([]rule.Rule{word("w", "very dangerous", rule.Match{Action: rule.Redact, Replacement: "-"})}, nil)
	long := strings.Repeat("quiet words ", 200)
	log := func(text string) string {
		return `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"l","data":"` + text + `"}}`
	}
	progress := func(text string) string {
		return `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1,"message":"` + text + `"}}`
	}
	for name, c := range map[string]struct{ pieces, want []string }{
		"two":             {[]string{progress("a very"), progress("dangerous b")}, []string{progress("a very"), progress("- b")}},
		"two logs":        {[]string{log("a very"), log("dangerous b")}, []string{log("a very"), log("- b")}},
		"three":           {[]string{log("a"), log("very"), log("dangerous b")}, []string{log("a"), log("very"), log("- b")}},
		"both kinds":      {[]string{log("a very"), progress("dangerous b")}, []string{log("a very"), progress("- b")}},
		"inside a word":   {[]string{log("a very dang"), log("erous b")}, []string{log("a very dang"), log("- b")}},
		"once only":       {[]string{log("a very"), log("dangerous b"), log("c")}, []string{log("a very"), log("- b"), log("c")}},
		"long ones":       {[]string{log(long + "very"), log("dangerous " + long)}, []string{log(long + "very"), log("- " + long)}},
		"too far apart":   {[]string{log("very"), log(long), log("dangerous")}, []string{log("very"), log(long), log("dangerous")}},
		"another message": {[]string{log("very"), `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`, log("dangerous")}, []string{log("very"), `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`, log("-")}},
	} {
		t.Run(name, func(t *testing.T) {
			var window Window
			for n, text := range c.pieces {
				doc := scan(t, text)
				out, err := i.Piece(&window, doc, doc.Root, rule.Subject{Surface: rule.Notification})
				if err != nil {
					t.Fatal(err)
				}
				if got := string(wire.Splice(doc.Raw, out.Edits...)); got != c.want[n] {
					t.Errorf("piece %d became %.200s", n, got)
				}
				if alone, got := message(t, i, text, rule.Notification); got != text || len(alone.Findings) > 0 {
					t.Errorf("piece %d by itself became %.200s", n, got)
				}
				if len(window.text) > edge || cap(window.text) > 4*edge {
					t.Errorf("%d bytes are kept", len(window.text))
				}
			}
		})
	}
}

// Fuzz_binary holds what is made of any message with binary content: it is still a
// message, and what is to go is gone.
func Fuzz_binary(f *testing.F) {
	f.Add("danger", "image/png", "x")
	f.Add(picture(1, "danger", true), "image/png", `{"text":"danger","uri":"x"}`)
	f.Add(program, "text/plain", "\xff")
	f.Fuzz(func(t *testing.T, raw, mimeType, more string) {
		quoted := string(wire.AppendString(nil, mimeType))
		extra := string(wire.AppendString(nil, more))
		i := New([]rule.Rule{forbidding, binarycontent.Rule}, map[string]Policy{BinaryRule: {Action: Redact}})
		text := `{"a":[{"type":"image","data":"` + encode(raw) + `","mimeType":` + quoted + `,"x":` + extra + `},{"blob":"` + encode(raw) + `","uri":` + extra + `,"mimeType":` + quoted +
			`},{"mimeType":` + quoted + `,"uri":"danger","data":"` + encode(raw) + `","type":"audio","blob":` + extra + `},{"text":` + extra + `,"type":"image","data":` + extra + `}]}`
		if _, err := wire.Scan([]byte(text), wire.Limits{}); err != nil {
			t.Skip()
		}
		_, got := message(t, i, text, rule.ToolResult)
		if _, err := wire.Scan([]byte(got), wire.Limits{}); err != nil {
			t.Errorf("%s became %s: %v", text, got, err)
		}
		if strings.Contains(raw, "danger") && utf8.ValidString(raw) && strings.Contains(got, encode(raw)) && raw != more {
			t.Errorf("%q is left in %s", raw, got)
		}
	})
}

func Benchmark_picture(b *testing.B) {
	text := block("image", "image/png", picture(1, "holiday", false)+strings.Repeat("\x00\xff\x80", 1<<18))
	doc := scan(b, text)
	for name, i := range map[string]*Inspector{"with": New([]rule.Rule{forbidding, binarycontent.Rule}, nil), "base": New([]rule.Rule{binarycontent.Rule}, nil)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := i.Message(doc, doc.Root, rule.Subject{Surface: rule.ToolResult}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
