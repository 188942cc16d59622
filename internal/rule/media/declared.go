package media

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// aliases are other names of types.
var aliases = map[string]Type{
	"image/jpg": JPEG, "image/pjpeg": JPEG, "image/x-png": PNG, "image/x-ms-bmp": BMP, "image/x-bmp": BMP, "image/tif": TIFF,
	"image/x-icon": Icon, "image/ico": Icon, "image/heif": HEIC, "image/svg": SVG, "application/x-pdf": PDF,
	"audio/wave": WAV, "audio/x-wav": WAV, "audio/vnd.wave": WAV, "audio/x-pn-wav": WAV, "audio/mp3": MP3, "audio/x-mp3": MP3, "audio/mpeg3": MP3,
	"application/ogg": Ogg, "audio/opus": Ogg, "audio/vorbis": Ogg, "video/ogg": Ogg, "audio/x-flac": FLAC, "audio/x-aac": AAC,
	"audio/m4a": M4A, "audio/x-m4a": M4A, "audio/mp4a-latm": M4A, "video/quicktime": MP4, "video/x-m4v": MP4,
	"audio/webm": WebM, "video/x-matroska": WebM, "application/x-gzip": Gzip, "application/x-zip-compressed": ZIP,
}

// Declaration is a media type as a sender writes it, without parameters and in lower
// case, and the known type that it stands for.
func Declaration(declared string) (name string, is Type) {
	name, _, _ = strings.Cut(declared, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	if alias, ok := aliases[name]; ok {
		return name, alias
	}
	return name, Type(name)
}

// Fit is how well what the sender says goes with what the bytes are.
type Fit uint8

const (
	Fits      Fit = iota // or nothing is said
	Near                 // another type of the same family: harmless
	Unclear              // the bytes are nothing that is known
	Differs              // something else, such as a document called a picture
	Dangerous            // something that runs, called something that does not
)

// Fit compares the declared type with the bytes.
func (f *File) Fit() Fit {
	name, declared := Declaration(f.Declared)
	switch {
	case name == "", name == "application/octet-stream", f.Size == 0:
		return Fits
	case declared == f.Type && name == string(f.Type):
		return Fits
	case declared == f.Type:
		return Near
	}
	shown := family(name) == "image" || family(name) == "audio" || family(name) == "video"
	switch {
	case f.Type.Runs() && (shown || declared == PDF || f.Type == Executable && isTextName(name)):
		return Dangerous
	case f.Type == Unknown && (shown || declared == PDF):
		return Unclear
	case f.Type == Unknown:
		return Fits // a type of which nothing is known here
	case f.Type == ZIP && !shown && declared != PDF, f.Type == OOXML && strings.Contains(name, "office"):
		return Fits // many kinds of documents are archives
	case family(name) == family(string(f.Type)), shown && family(name) != "image" && (f.Type == MP4 || f.Type == M4A || f.Type == WebM || f.Type == Ogg):
		return Near
	case f.Type.Textual() && !shown && declared != PDF:
		return Fits // text has many names
	case f.Type == Gzip && declared == SVG:
		return Near
	}
	return Differs
}

func family(name string) string {
	family, _, _ := strings.Cut(name, "/")
	return family
}

func isTextName(name string) bool {
	return family(name) == "text" || strings.HasSuffix(name, "json") || strings.HasSuffix(name, "xml")
}

// Limits bound binary content. A zero field means the default.
type Limits struct {
	Bytes  int      // decoded
	Pixels uint64   // that a picture claims
	Types  []string // that are expected, as image/png or image/*
}

// Defaults: a photograph fits, and so does every screen; what is far above is made to
// fill the memory of whoever decodes it.
const (
	DefaultBytes  = 8 << 20
	DefaultPixels = 100_000_000
)

// DefaultTypes are what models and people are shown.
var DefaultTypes = []string{"image/*", "audio/*", "text/*", string(PDF)}

// OrDefault fills in what is not set.
func (l Limits) OrDefault() Limits {
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.Pixels == 0 {
		l.Pixels = DefaultPixels
	}
	if l.Types == nil {
		l.Types = DefaultTypes
	}
	return l
}

// Expected says whether content is of a type that is expected. What the bytes are
// counts; where they say nothing, what the sender says.
func (l Limits) Expected(f *File) bool {
	name := string(f.Type)
	if f.Type == Unknown {
		name, _ = Declaration(f.Declared)
	}
	if f.Type == Script {
		name = string(Text)
	}
	for _, t := range l.OrDefault().Types {
		if t == name || strings.HasSuffix(t, "/*") && strings.HasPrefix(name, strings.TrimSuffix(t, "*")) {
			return true
		}
	}
	return false
}

var encodings = []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}

// Decode decodes Base64 in any of its forms and says which it is. Where it is none of
// them, the encoding is nil and the bytes are those that careless readers find, who
// leave out what does not belong.
func Decode(text string) (raw []byte, encoding *base64.Encoding) {
	for _, encoding := range encodings {
		if raw, err := encoding.DecodeString(text); err == nil {
			return raw, encoding
		}
	}
	return careless(text), nil
}

func careless(text string) []byte {
	raw := make([]byte, 0, len(text)/4*3+3)
	var group uint32
	bits := 0
	for i := range len(text) {
		c, value := text[i], uint32(0)
		switch {
		case 'A' <= c && c <= 'Z':
			value = uint32(c - 'A')
		case 'a' <= c && c <= 'z':
			value = uint32(c-'a') + 26
		case '0' <= c && c <= '9':
			value = uint32(c-'0') + 52
		case c == '+' || c == '-':
			value = 62
		case c == '/' || c == '_':
			value = 63
		case c == '=':
			group, bits = 0, 0 // the end of one, perhaps the beginning of another
			continue
		default:
			continue
		}
		if group, bits = group<<6|value, bits+6; bits >= 8 {
			bits -= 8
			raw = append(raw, byte(group>>bits))
		}
	}
	return raw
}

// URI is a data: URI (RFC 2397) taken apart.
type URI struct {
	Declared string
	Payload  string // as it is written
	Base64   bool
}

// maxHeader bounds what stands before the comma of a data: URI, in bytes.
const maxHeader = 256

// ParseURI takes a data: URI apart.
func ParseURI(text string) (URI, bool) {
	const scheme = "data:"
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return URI{}, false
	}
	text = text[len(scheme):]
	comma := strings.IndexByte(text[:min(len(text), maxHeader)], ',')
	if comma < 0 {
		return URI{}, false
	}
	header := strings.TrimSpace(text[:comma])
	uri := URI{Declared: header, Payload: text[comma+1:]}
	if mark := strings.LastIndexByte(header, ';'); mark >= 0 && strings.EqualFold(strings.TrimSpace(header[mark+1:]), "base64") {
		uri.Declared, uri.Base64 = header[:mark], true
	}
	return uri, true
}

// Bytes are the first bytes that the URI stands for, most at most; whole says whether
// they are all.
func (u URI) Bytes(most int) (raw []byte, whole bool) {
	payload := u.Payload
	if !u.Base64 {
		// Escapes take three bytes for one.
		if whole = len(payload) <= 3*most; !whole {
			payload = payload[:3*most]
		}
		text, err := url.PathUnescape(payload)
		if err != nil {
			text = payload
		}
		return []byte(text), whole
	}
	if whole = len(payload) <= most/3*4; !whole {
		payload = payload[:most/3*4]
	}
	if strings.IndexByte(payload, '%') >= 0 {
		if text, err := url.PathUnescape(payload); err == nil {
			payload = text
		}
	}
	raw, _ = Decode(payload)
	return raw, whole
}
