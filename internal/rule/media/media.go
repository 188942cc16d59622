// Package media says what binary content is without decoding it: the kind of the
// bytes, how large a picture claims to be, and every text that stands beside the
// pixels and the sound. It decodes no picture and no sound. Each reader goes through
// the bytes once, follows offsets in them a bounded number of times, and keeps a
// bounded amount of text, whatever the bytes say.
package media

import (
	"bytes"
	"compress/zlib"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// Type is what bytes are, as a media type; Unknown if they are nothing that is known.
type Type string

const (
	Unknown    Type = ""
	PNG        Type = "image/png"
	JPEG       Type = "image/jpeg"
	GIF        Type = "image/gif"
	WebP       Type = "image/webp"
	BMP        Type = "image/bmp"
	TIFF       Type = "image/tiff"
	Icon       Type = "image/vnd.microsoft.icon"
	AVIF       Type = "image/avif"
	HEIC       Type = "image/heic"
	SVG        Type = "image/svg+xml"
	PDF        Type = "application/pdf"
	WAV        Type = "audio/wav"
	MP3        Type = "audio/mpeg"
	Ogg        Type = "audio/ogg"
	FLAC       Type = "audio/flac"
	AAC        Type = "audio/aac"
	M4A        Type = "audio/mp4"
	MP4        Type = "video/mp4"
	WebM       Type = "video/webm"
	RIFF       Type = "application/x-riff"
	ZIP        Type = "application/zip"
	OOXML      Type = "application/vnd.openxmlformats-officedocument"
	Gzip       Type = "application/gzip"
	Executable Type = "application/x-executable" // ELF, PE, Mach-O, Java, WebAssembly, shortcuts
	Script     Type = "application/x-script"     // text that begins by naming its interpreter
	HTML       Type = "text/html"
	Text       Type = "text/plain"
)

// Textual says that the bytes are a text, which a model may be given as it is.
func (t Type) Textual() bool { return t == Text || t == HTML || t == Script || t == SVG }

// Runs says that a program may carry the bytes out: as a program, or as a page.
func (t Type) Runs() bool { return t == Executable || t == Script || t == HTML }

// File is what is known of some binary content.
type File struct {
	Declared      string // media type that the sender names; empty if none
	Type          Type   // of the bytes
	Size          int    // in bytes, decoded
	Width, Height uint64 // that a picture claims, in pixels; 0 if it claims none
	// Text is every text in it that is no part of the picture or the sound, each on its
	// lines; for a text the text itself. It is valid UTF-8 of at most MaxText bytes.
	Text string
	// Cut says that there was more text than MaxText, or more of it than was looked at.
	Cut bool
	// Damaged says that the sender did not write Base64 as it is defined, so that readers
	// differ about the bytes.
	Damaged bool
}

// Pixels is how many pixels a picture claims.
func (f *File) Pixels() uint64 {
	if f.Height > 0 && f.Width > ^uint64(0)/f.Height {
		return ^uint64(0)
	}
	return f.Width * f.Height
}

const (
	// MaxText bounds File.Text. Edited photographs carry some hundred kilobytes.
	MaxText = 1 << 20
	// maxInflated bounds what is unpacked of one file to find text, in bytes: far more
	// than MaxText, because what is unpacked may be no text.
	maxInflated = 4 << 20
	// maxNested is how many files are looked for inside of each other, such as the cover
	// picture of a song.
	maxNested = 2
	// shortestRun is how long text must be to be told from bytes that look like letters
	// by accident.
	shortestRun = 8
	// sniffed is how much of the bytes says what they are.
	sniffed = 4 << 10
)

// Read says what bytes are. It does not keep them.
func Read(raw []byte) File {
	r := reader{inflatable: maxInflated}
	r.file.Size = len(raw)
	r.file.Type = Sniff(raw)
	r.read(raw, r.file.Type)
	r.file.Text = string(bytes.ToValidUTF8(r.text, []byte("\uFFFD")))
	return r.file
}

// reader collects what one file says.
type reader struct {
	file       File
	text       []byte
	inflatable int
	nested     int
}

func (r *reader) read(raw []byte, t Type) {
	switch t {
	case PNG:
		r.png(raw)
	case JPEG:
		r.jpeg(raw)
	case GIF:
		r.gif(raw)
	case WebP, WAV, RIFF:
		r.riff(raw)
	case BMP:
		r.bmp(raw)
	case TIFF:
		r.tiff(raw, true)
	case AVIF, HEIC, M4A, MP4:
		r.boxes(raw)
	case SVG:
		r.svg(raw)
	case PDF:
		r.pdf(raw)
	case MP3, AAC:
		r.mpeg(raw)
	case Ogg:
		r.ogg(raw)
	case FLAC:
		r.flac(raw)
	case ZIP, OOXML:
		r.zip(raw)
	case Gzip:
		r.gzip(raw)
	case Text, HTML, Script:
		r.plain(raw)
	default: // an icon, a video, a program or anything else
		r.runs(raw)
	}
}

// size notes how large a picture claims to be, the most if it says so twice.
func (r *reader) size(width, height uint64) {
	if r.nested > 0 {
		return
	}
	f := File{Width: width, Height: height}
	if f.Pixels() >= r.file.Pixels() {
		r.file.Width, r.file.Height = width, height
	}
}

// inside reads a file that is a part of another.
func (r *reader) inside(raw []byte) {
	if r.nested >= maxNested {
		r.runs(raw)
		return
	}
	r.nested++
	r.read(raw, Sniff(raw))
	r.nested--
}

// say keeps a text that is UTF-8, or Latin-1 if it is no UTF-8.
func (r *reader) say(b []byte) {
	b = bytes.Trim(b, "\x00")
	if len(bytes.TrimSpace(b)) == 0 {
		return
	}
	if room := MaxText - len(r.text) - 1; len(b) > room {
		r.file.Cut = true
		if room <= 0 {
			return
		}
		b = withoutHalf(b[:room])
	}
	isUTF8 := utf8.Valid(b)
	for _, c := range b {
		switch {
		case c == 0:
			r.text = append(r.text, ' ')
		case isUTF8 || c < utf8.RuneSelf:
			r.text = append(r.text, c)
		default:
			r.text = utf8.AppendRune(r.text, rune(c))
		}
		if len(r.text) >= MaxText { // Latin-1 grows
			r.file.Cut = true
			return
		}
	}
	r.text = append(r.text, '\n')
}

// withoutHalf leaves out the beginning of a character at the end, if what is before it
// is UTF-8.
func withoutHalf(b []byte) []byte {
	for n := range min(utf8.UTFMax, len(b)) {
		if utf8.Valid(b[:len(b)-n]) {
			return b[:len(b)-n]
		}
	}
	return b
}

// sayNamed keeps a text with the name under which it stands, which is a text, too.
func (r *reader) sayNamed(name, text []byte) {
	r.say(append(append(bytes.Clone(name[:min(len(name), maxName)]), ": "...), text[:min(len(text), MaxText+1)]...))
}

// maxName is how much of the name of a text is kept, in bytes.
const maxName = 256

// say16 keeps a text in UTF-16.
func (r *reader) say16(b []byte, big bool) {
	if len(b) > 2*MaxText {
		b, r.file.Cut = b[:2*MaxText], true
	}
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		low, high := b[i], b[i+1]
		if big {
			low, high = high, low
		}
		units = append(units, uint16(low)|uint16(high)<<8)
	}
	r.say([]byte(string(utf16.Decode(units))))
}

// sayMarked keeps a text that says by its first bytes whether it is UTF-16.
func (r *reader) sayMarked(b []byte) {
	switch {
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		r.say16(b[2:], true)
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		r.say16(b[2:], false)
	default:
		r.say(bytes.TrimPrefix(b, []byte("\ufeff")))
	}
}

func (r *reader) plain(raw []byte) { r.sayMarked(raw) }

// runs keeps what looks like text among bytes of which nothing is known.
func (r *reader) runs(b []byte) {
	for at := 0; at < len(b) && !r.file.Cut; {
		start := at
		for at < len(b) {
			if c := b[at]; c >= ' ' && c < 0x7f || c == '\t' || c == '\n' || c == '\r' {
				at++
				continue
			}
			char, size := utf8.DecodeRune(b[at:])
			if size < 2 || char < 0xa0 {
				break
			}
			at += size
		}
		if run := b[start:at]; len(run) >= shortestRun {
			r.say(run)
		}
		if at < len(b) {
			at++
		}
	}
}

// trailing keeps the text in what stands behind the end of a file, where no program
// that shows it looks.
func (r *reader) trailing(b []byte) { r.runs(b) }

// inflate unpacks the beginning of what zlib packed; what it cannot unpack is left
// out, as those who show the file leave it out.
func (r *reader) inflate(b []byte, most int) []byte {
	unpacked, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	return r.unpack(unpacked, most)
}

func (r *reader) unpack(from io.Reader, most int) []byte {
	most = min(most, r.inflatable)
	out, _ := io.ReadAll(io.LimitReader(from, int64(most))) // what came before an error counts
	r.inflatable -= len(out)
	return out
}
