package media

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

const note = "a note that nobody sees in the picture"

func be32(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
func le32(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
func le16(n int) string { return string(binary.LittleEndian.AppendUint16(nil, uint16(n))) }
func be16(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }

func utf16le(text string) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

func packed(text string) string {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	fmt.Fprint(w, text)
	w.Close()
	return out.String()
}

func chunk(kind, data string) string {
	return be32(len(data)) + kind + data + string(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(kind+data))))
}

func png(chunks ...string) string {
	return "\x89PNG\r\n\x1a\n" + chunk("IHDR", be32(40)+be32(30)+"\x08\x06\x00\x00\x00") + strings.Join(chunks, "") + chunk("IDAT", packed("\x00")) + chunk("IEND", "")
}

func segment(marker byte, data string) string {
	return string([]byte{0xff, marker}) + be16(len(data)+2) + data
}

func jpeg(segments ...string) string {
	return "\xff\xd8" + segment(0xe0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00") + strings.Join(segments, "") +
		segment(0xc0, "\x08"+be16(30)+be16(40)+"\x01\x01\x11\x00") + segment(0xda, "\x01\x01\x00\x00\x3f\x00") + "\x12\x34\xff\x00\x56\xff\xd9"
}

// exif is a list of tags, each with its value behind the list.
func exif(tags ...[3]any) string {
	head := "II*\x00" + le32(8) + le16(len(tags))
	at := len(head) + 12*len(tags) + 4
	values := ""
	for _, tag := range tags {
		value := tag[2].(string)
		head += le16(tag[0].(int)) + le16(tag[1].(int)) + le32(len(value)) + le32(at+len(values))
		values += value
	}
	return head + le32(0) + values
}

func riff(kind string, chunks ...string) string {
	body := kind + strings.Join(chunks, "")
	return "RIFF" + le32(len(body)) + body
}

func riffChunk(kind, data string) string {
	return kind + le32(len(data)) + data + strings.Repeat("\x00", len(data)%2)
}

func box(kind string, inside ...string) string {
	body := strings.Join(inside, "")
	return be32(len(body)+8) + kind + body
}

func comments(texts ...string) string {
	out := le32(4) + "test" + le32(len(texts))
	for _, text := range texts {
		out += le32(len(text)) + text
	}
	return out
}

func oggPage(packet string) string {
	var table []byte
	for left := len(packet); ; left -= 255 {
		table = append(table, byte(min(left, 255)))
		if left < 255 {
			break
		}
	}
	return "OggS" + strings.Repeat("\x00", 22) + string([]byte{byte(len(table))}) + string(table) + packet
}

func id3(frames ...string) string {
	body := strings.Join(frames, "")
	return "ID3\x03\x00\x00" + string([]byte{0, 0, byte(len(body) >> 7), byte(len(body) & 0x7f)}) + body + "\xff\xfb\x90\x00" + strings.Repeat("\x00", 64)
}

func frame(id, data string) string { return id + be32(len(data)) + "\x00\x00" + data }

func zipped(name, comment string) string {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	if _, err := w.Create(name); err != nil {
		panic(err)
	}
	if err := w.SetComment(comment); err != nil {
		panic(err)
	}
	w.Close()
	return out.String()
}

func gzipped(name, comment, text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Name, w.Comment = name, comment
	fmt.Fprint(w, text)
	w.Close()
	return out.String()
}

func gif(extensions ...string) string {
	return "GIF89a" + le16(40) + le16(30) + "\x00\x00\x00" + strings.Join(extensions, "") + "," + le16(0) + le16(0) + le16(40) + le16(30) + "\x00\x02\x02\x44\x01\x00;"
}

func piece(text string) string { return string([]byte{byte(len(text))}) + text }

// files are the places where each kind of file can carry the note.
func files() map[string]struct {
	raw string
	is  Type
} {
	type file = struct {
		raw string
		is  Type
	}
	list := map[string]file{}
	for name, raw := range map[string]string{
		"tEXt": png(chunk("tEXt", "Comment\x00"+note)), "zTXt": png(chunk("zTXt", "Comment\x00\x00"+packed(note))),
		"iTXt":        png(chunk("iTXt", "Comment\x00\x00\x00en\x00Comment\x00"+note)),
		"packed iTXt": png(chunk("iTXt", "Comment\x00\x01\x00\x00\x00"+packed(note))),
		"keyword":     png(chunk("tEXt", note+"\x00x")), "eXIf": png(chunk("eXIf", exif([3]any{0x010e, 2, note}))),
		"a chunk of its own": png(chunk("abCd", note)), "behind the end": png() + note,
		"a chunk that is cut": "\x89PNG\r\n\x1a\n" + chunk("IHDR", be32(40)+be32(30)+"\x08\x06\x00\x00\x00") + be32(1<<30) + "tEXtComment\x00" + note,
	} {
		list["png "+name] = file{raw, PNG}
	}
	photoshop := "Photoshop 3.0\x008BIM\x04\x04\x00\x00" + be32(len(note)+5) + "\x1c\x02\x78" + be16(len(note)) + note
	for name, raw := range map[string]string{
		"comment": jpeg(segment(0xfe, note)), "XMP": jpeg(segment(0xe1, string(xmpMark)+note)), "IPTC": jpeg(segment(0xed, photoshop)),
		"more XMP":          jpeg(segment(0xe1, string(moreXMPMark)+strings.Repeat("0", 40)+note)),
		"description":       jpeg(segment(0xe1, string(exifMark)+exif([3]any{0x010e, 2, note}))),
		"artist":            jpeg(segment(0xe1, string(exifMark)+exif([3]any{0x013b, 2, note}))),
		"user comment":      jpeg(segment(0xe1, string(exifMark)+exif([3]any{tagComment, 7, "ASCII\x00\x00\x00" + note}))),
		"user comment wide": jpeg(segment(0xe1, string(exifMark)+exif([3]any{tagComment, 7, "UNICODE\x00" + utf16le(note)}))),
		"XPComment":         jpeg(segment(0xe1, string(exifMark)+exif([3]any{0x9c9c, 1, utf16le(note)}))),
		"a directory below": jpeg(segment(0xe1, string(exifMark)+below(note))),
		"unknown segment":   jpeg(segment(0xe9, note)), "behind the end": jpeg() + note, "behind a second picture": jpeg() + jpeg(segment(0xfe, note)),
	} {
		list["jpeg "+name] = file{raw, JPEG}
	}
	list["gif comment"] = file{gif("!\xfe" + piece(note[:20]) + piece(note[20:]) + "\x00"), GIF}
	list["gif plain text"] = file{gif("!\x01" + piece(strings.Repeat("\x00", 12)) + piece(note) + "\x00"), GIF}
	list["gif XMP"] = file{gif("!\xff\x0bXMP DataXMP" + piece(note) + "\x00"), GIF}
	list["gif behind the end"] = file{gif() + note, GIF}
	list["webp exif"] = file{riff("WEBP", riffChunk("VP8X", "\x00\x00\x00\x00\x27\x00\x00\x1d\x00\x00"), riffChunk("EXIF", exif([3]any{0x010e, 2, note}))), WebP}
	list["webp xmp"] = file{riff("WEBP", riffChunk("VP8X", "\x00\x00\x00\x00\x27\x00\x00\x1d\x00\x00"), riffChunk("XMP ", note)), WebP}
	list["tiff"] = file{exif([3]any{0x010e, 2, note}), TIFF}
	list["bmp"] = file{"BM" + le32(54) + le32(0) + le32(54) + le32(40) + le32(40) + le32(30) + strings.Repeat("\x00", 28) + note, BMP}
	list["svg text"] = file{`<?xml version="1.0"?><svg xmlns="x"><text>a note that</text><text>nobody <tspan>sees</tspan> in the</text><desc>picture</desc></svg>`, SVG}
	list["svg entities"] = file{`<svg><title>` + strings.ReplaceAll(note, "e", "&#101;") + `</title></svg>`, SVG}
	list["svg comment"] = file{`<svg><!-- ` + note + ` --></svg>`, SVG}
	list["avif"] = file{box("ftyp", "avif\x00\x00\x00\x00avifmif1") + box("meta", "\x00\x00\x00\x00", box("iprp", box("ipco", box("ispe", "\x00\x00\x00\x00"+be32(40)+be32(30))))) + box("mdat", string(exifMark)+exif([3]any{0x010e, 2, note})), AVIF}
	list["pdf info"] = file{"%PDF-1.4\n1 0 obj <</Title (a note that \\\nnobody sees\\040in the picture)>> endobj", PDF}
	list["pdf wide"] = file{"%PDF-1.4\n1 0 obj <</Title <FEFF" + hexWide(note) + ">>> endobj", PDF}
	list["pdf page"] = file{"%PDF-1.4\n1 0 obj <</Length 9>>\nstream\nBT [(a no) -20 (te that nobody sees in the picture)] TJ ET\nendstream", PDF}
	list["pdf packed page"] = file{"%PDF-1.4\n1 0 obj <</Filter /FlateDecode>>\nstream\n" + packed("BT ("+note+") Tj ET") + "\nendstream", PDF}
	list["pdf comment"] = file{"%PDF-1.4\n% " + note + "\n", PDF}
	list["wav"] = file{riff("WAVE", riffChunk("fmt ", strings.Repeat("\x00", 16)), riffChunk("LIST", "INFO"+riffChunk("ICMT", note)), riffChunk("data", "\x00\x00")), WAV}
	list["mp3"] = file{id3(frame("TIT2", "\x00"+note)), MP3}
	list["mp3 wide"] = file{id3(frame("COMM", "\x01eng\xff\xfe\x00\x00\xff\xfe"+utf16le(note))), MP3}
	list["mp3 cover"] = file{id3(frame("APIC", "\x00image/png\x00\x03\x00"+png(chunk("tEXt", "Comment\x00"+note)))), MP3}
	list["ogg"] = file{oggPage("\x01vorbis") + oggPage("\x03vorbis"+comments("TITLE="+note)), Ogg}
	list["opus"] = file{oggPage("OpusHead") + oggPage("OpusTags"+comments("TITLE="+note)), Ogg}
	list["flac"] = file{"fLaC\x84" + string([]byte{0, 0, byte(len(comments("TITLE=" + note)))}) + comments("TITLE="+note), FLAC}
	list["m4a"] = file{box("ftyp", "M4A \x00\x00\x00\x00") + box("moov", box("udta", box("meta", "\x00\x00\x00\x00", box("ilst", box("\xa9nam", box("data", "\x00\x00\x00\x01\x00\x00\x00\x00"+note)))))), M4A}
	list["mp4"] = file{box("ftyp", "isom\x00\x00\x00\x00") + box("moov", box("udta", box("\xa9cmt", note))), MP4}
	list["zip comment"] = file{zipped("a.txt", note), ZIP}
	list["zip name"] = file{zipped(note, ""), ZIP}
	list["ooxml"] = file{zipped("[Content_Types].xml", note), OOXML}
	list["gzip name"] = file{gzipped(note, "", "\x00\x01"), Gzip}
	list["gzip comment"] = file{gzipped("", note, "\x00\x01"), Gzip}
	list["gzip text"] = file{gzipped("", "", note), Gzip}
	list["program"] = file{"\x7fELF\x02\x01\x01\x00\x00\x00" + note + "\x00", Executable}
	list["script"] = file{"#!/bin/sh\necho " + note, Script}
	list["text"] = file{note, Text}
	list["wide text"] = file{"\xff\xfe" + utf16le(note), Text}
	list["page"] = file{"<!DOCTYPE html><p>" + note, HTML}
	list["unknown"] = file{"\x00\x01\x02\x03" + note + "\x00\x80", Unknown}
	return list
}

// below is a description in a directory that another one names.
func below(text string) string {
	first := "II*\x00" + le32(8) + le16(1) + le16(tagExif) + le16(4) + le32(1) + le32(26) + le32(0)
	second := le16(1) + le16(0x010e) + le16(2) + le32(len(text)) + le32(26+18) + le32(0)
	return first + second + text
}

func hexWide(text string) string {
	out := ""
	for _, r := range text {
		out += fmt.Sprintf("%04X", r)
	}
	return out
}

func Test_every_text_is_found(t *testing.T) {
	for name, file := range files() {
		t.Run(name, func(t *testing.T) {
			got := Read([]byte(file.raw))
			if got.Type != file.is {
				t.Errorf("it is %q, want %q", got.Type, file.is)
			}
			if !strings.Contains(strings.ReplaceAll(got.Text, "\n", " "), note) {
				t.Errorf("the note is missing in %q", got.Text)
			}
			if got.Cut || got.Size != len(file.raw) {
				t.Errorf("cut %v, size %d of %d", got.Cut, got.Size, len(file.raw))
			}
		})
	}
}

func Test_how_large_a_picture_claims_to_be(t *testing.T) {
	for name, raw := range map[string]string{
		"png": png(), "jpeg": jpeg(), "gif": gif(), "webp": files()["webp xmp"].raw, "bmp": files()["bmp"].raw, "avif": files()["avif"].raw,
		"webp lossless": riff("WEBP", riffChunk("VP8L", "\x2f"+le32(39|29<<14))), "webp lossy": riff("WEBP", riffChunk("VP8 ", "\x00\x00\x00\x9d\x01\x2a"+le16(40)+le16(30))),
		"tiff": "II*\x00" + le32(8) + le16(2) + le16(tagWidth) + le16(4) + le32(1) + le32(40) + le16(tagHeight) + le16(3) + le32(1) + le32(30) + le32(0),
	} {
		if got := Read([]byte(raw)); got.Width != 40 || got.Height != 30 || got.Pixels() != 1200 {
			t.Errorf("%s: %d × %d", name, got.Width, got.Height)
		}
	}
	bomb := "\x89PNG\r\n\x1a\n" + chunk("IHDR", be32(1<<31-1)+be32(1<<31-1)+"\x08\x06\x00\x00\x00")
	if got := Read([]byte(bomb)); got.Pixels() != (1<<31-1)*(1<<31-1) {
		t.Errorf("%d pixels", got.Pixels())
	}
	if f := (File{Width: 1 << 63, Height: 4}); f.Pixels() != ^uint64(0) {
		t.Errorf("the product overflows to %d", f.Pixels())
	}
}

// What unpacks to far more than is looked at costs no more than what is looked at.
func Test_packed_text_is_bounded(t *testing.T) {
	var bomb strings.Builder
	large := chunk("zTXt", "a\x00\x00"+packed(strings.Repeat("a", 3<<20)))
	for range 20 {
		bomb.WriteString(large)
	}
	got := Read([]byte(png(bomb.String())))
	if !got.Cut || len(got.Text) > MaxText {
		t.Errorf("cut %v, %d bytes of text", got.Cut, len(got.Text))
	}
	if got := Read([]byte(png(chunk("tEXt", "a\x00"+strings.Repeat("é", MaxText))))); !got.Cut || len(got.Text) > MaxText || !utf8.ValidString(got.Text) {
		t.Errorf("cut %v, %d bytes of text", got.Cut, len(got.Text))
	}
}

// The tag behind a song has fields of thirty bytes.
func Test_the_tag_behind_a_song(t *testing.T) {
	short := note[:30]
	for place := range 3 {
		tag := "TAG" + strings.Repeat("\x00", 30*place) + short + strings.Repeat("\x00", 95-30*place)
		if got := Read([]byte("\xff\xfb\x90\x00" + strings.Repeat("\x00", 400) + tag)); got.Type != MP3 || got.Text != short+"\n" {
			t.Errorf("%s: %q", got.Type, got.Text)
		}
	}
}

// Directories that name each other, and tags that share one value, end.
func Test_offsets_lead_nowhere_twice(t *testing.T) {
	loop := "II*\x00" + le32(8) + le16(1) + le16(tagExif) + le16(4) + le32(1) + le32(8) + le32(8)
	if got := Read([]byte(loop)); got.Cut {
		t.Error("a loop of one directory counts as many")
	}
	tags := make([][3]any, 400)
	for n := range tags {
		tags[n] = [3]any{0x010e, 2, strings.Repeat("x", 8<<10)}
	}
	if got := Read([]byte(exif(tags...))); !got.Cut || len(got.Text) > MaxText {
		t.Errorf("cut %v, %d bytes", got.Cut, len(got.Text))
	}
}

func Test_fit(t *testing.T) {
	program := "MZ" + strings.Repeat("\x00", 0x3a) + le32(0x40) + "PE\x00\x00"
	for _, c := range []struct {
		declared, raw string
		want          Fit
	}{
		{"image/png", png(), Fits}, {"IMAGE/PNG; x=y", png(), Fits}, {"", program, Fits}, {"image/jpg", jpeg(), Near}, {"image/jpeg", png(), Near},
		{"image/png", program, Dangerous}, {"image/png", "#!/bin/sh\nls", Dangerous}, {"audio/wav", "\x7fELF\x00", Dangerous}, {"image/png", "<html>", Dangerous},
		{"text/plain", program, Dangerous}, {"text/plain", "#!/bin/sh\nls", Fits}, {"text/html", "<html>", Fits}, {"application/json", "{}", Fits},
		{"application/octet-stream", program, Fits}, {"application/x-thing", "\x00\x01", Fits}, {"image/png", "\x00\x01", Unclear}, {"image/png", "%PDF-1", Differs},
		{"image/png", "words", Differs}, {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", zipped("[Content_Types].xml", ""), Fits},
		{"image/svg+xml", `<svg/>`, Fits}, {"audio/mpeg", oggPage("x"), Near}, {"video/webm", "\x1aE\xdf\xa3", Fits}, {"audio/webm", "\x1aE\xdf\xa3", Near},
		{"image/png", "", Fits},
	} {
		f := Read([]byte(c.raw))
		f.Declared = c.declared
		if got := f.Fit(); got != c.want {
			t.Errorf("%.20q called %q: %d, want %d", c.raw, c.declared, got, c.want)
		}
	}
}

func Test_expected(t *testing.T) {
	for _, c := range []struct {
		types    []string
		declared string
		is       Type
		want     bool
	}{
		{nil, "", PNG, true}, {nil, "", ZIP, false}, {nil, "", Executable, false}, {nil, "", Script, true}, {nil, "application/x-thing", Unknown, false},
		{nil, "image/x-thing", Unknown, true}, {[]string{"image/png"}, "", JPEG, false}, {[]string{"application/zip"}, "", ZIP, true},
	} {
		if got := (Limits{Types: c.types}).Expected(&File{Declared: c.declared, Type: c.is}); got != c.want {
			t.Errorf("%v, %q, %q: %v", c.types, c.declared, c.is, got)
		}
	}
}

func Test_decode(t *testing.T) {
	for text, want := range map[string]string{
		base64.StdEncoding.EncodeToString([]byte(note)):                                 note,
		base64.RawURLEncoding.EncodeToString([]byte("\xff\xfe" + note)):                 "\xff\xfe" + note,
		strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(note)), "G", "G *"): note,
		"YQ==YmM=": "abc", "": "", "YWJj-_+/": "abc\xfb\xff\xbf",
	} {
		if got, _ := Decode(text); string(got) != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if _, encoding := Decode("YQ==YmM="); encoding != nil {
		t.Error("two encodings behind each other count as one")
	}
}

func Test_data_URIs(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(note))
	for text, want := range map[string]URI{
		"data:image/png;base64," + encoded: {"image/png", encoded, true}, "DATA:;BASE64,YQ==": {"", "YQ==", true},
		"data:image/svg+xml;charset=utf-8,%3Csvg%3E": {"image/svg+xml;charset=utf-8", "%3Csvg%3E", false},
	} {
		if got, ok := ParseURI(text); !ok || got != want {
			t.Errorf("%q is %+v", text, got)
		}
	}
	for _, text := range []string{"", "data:", "https://x/,", "data:" + strings.Repeat("x", 300) + ","} {
		if got, ok := ParseURI(text); ok {
			t.Errorf("%.20q is %+v", text, got)
		}
	}
	if raw, whole := (URI{Payload: encoded, Base64: true}).Bytes(9); string(raw) != note[:9] || whole {
		t.Errorf("%q, %v", raw, whole)
	}
	if raw, whole := (URI{Payload: "%3Csvg%3E"}).Bytes(100); string(raw) != "<svg>" || !whole {
		t.Errorf("%q, %v", raw, whole)
	}
}

// Fuzz_read holds every reader to its bounds: text that is UTF-8 and not too long, the
// same answer twice, and no panic.
func Fuzz_read(f *testing.F) {
	for _, file := range files() {
		f.Add([]byte(file.raw))
		f.Add([]byte(file.raw[:len(file.raw)*2/3]))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := Read(raw)
		if !utf8.ValidString(got.Text) || len(got.Text) > MaxText+utf8.UTFMax {
			t.Errorf("%d bytes of text, valid %v", len(got.Text), utf8.ValidString(got.Text))
		}
		if again := Read(raw); again != got {
			t.Errorf("%+v, then %+v", got, again)
		}
		Decode(string(raw))
		if uri, ok := ParseURI(string(raw)); ok {
			uri.Bytes(64)
		}
	})
}

// Benchmark_read is the time for files that are as slow to read as can be: it must grow
// with their size and no faster.
func Benchmark_read(b *testing.B) {
	for name, of := range map[string]func(n int) string{
		"jpeg":         func(n int) string { return "\xff\xd8\xff" + strings.Repeat("\xff\x00", n/2) },
		"pdf":          func(n int) string { return "%PDF-" + strings.Repeat("(", n) },
		"svg":          func(n int) string { return "<svg>" + strings.Repeat("<!--", n/4) },
		"zip":          func(n int) string { return strings.Repeat("PK\x03\x04"+strings.Repeat("\x00", 26), n/30) },
		"png":          func(n int) string { return png(strings.Repeat(chunk("abcd", ""), n/12)) },
		"pdf streams":  func(n int) string { return "%PDF-" + strings.Repeat("stream", n/6) },
		"pdf comments": func(n int) string { return "%PDF-" + strings.Repeat("%", n) },
		"gif":          func(n int) string { return gif(strings.Repeat("!\xfe\x00", n/3)) },
		"boxes":        func(n int) string { return box("ftyp", "isom") + strings.Repeat(box("moov"), n/8) },
		"id3":          func(n int) string { return id3(strings.Repeat(frame("TIT2", ""), n/10)) },
	} {
		for _, size := range []int{64 << 10, 512 << 10} {
			raw := []byte(of(size))
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					Read(raw)
				}
			})
		}
	}
}
