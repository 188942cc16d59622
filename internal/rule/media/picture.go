package media

import (
	"bytes"
	"encoding/binary"
)

// png goes through chunks: a length, a type, the data and a checksum.
func (r *reader) png(raw []byte) {
	at := 8
	for at+8 <= len(raw) {
		size, kind := uint64(binary.BigEndian.Uint32(raw[at:])), string(raw[at+4:at+8])
		data := raw[at+8:]
		whole := size+4 <= uint64(len(data))
		if whole {
			data = data[:size]
		}
		r.pngChunk(kind, data)
		if !whole {
			return
		}
		if at += 8 + int(size) + 4; kind == "IEND" {
			r.trailing(raw[at:])
			return
		}
	}
}

func (r *reader) pngChunk(kind string, data []byte) {
	switch kind {
	case "IHDR":
		if len(data) >= 8 {
			r.size(uint64(binary.BigEndian.Uint32(data)), uint64(binary.BigEndian.Uint32(data[4:])))
		}
	case "tEXt":
		keyword, text, _ := bytes.Cut(data, []byte{0})
		r.sayNamed(keyword, text)
	case "zTXt":
		keyword, packed, _ := bytes.Cut(data, []byte{0})
		if len(packed) > 1 {
			r.sayNamed(keyword, r.inflateText(packed[1:]))
		}
	case "iTXt":
		r.internationalText(data)
	case "eXIf":
		r.tiff(data, false)
	case "IDAT", "fdAT", "PLTE", "IEND", "tRNS":
	default:
		r.runs(data)
	}
}

// inflateText unpacks a text, and notes if there is more than is looked at.
func (r *reader) inflateText(packed []byte) []byte {
	text := r.inflate(packed, MaxText+1)
	if len(text) > MaxText || r.inflatable == 0 {
		r.file.Cut = true
	}
	return text
}

// internationalText is keyword, 0, whether it is packed, the method, language, 0,
// translated keyword, 0, text.
func (r *reader) internationalText(data []byte) {
	keyword, rest, found := bytes.Cut(data, []byte{0})
	if !found || len(rest) < 2 {
		r.runs(data)
		return
	}
	packed := rest[0] != 0
	language, rest, _ := bytes.Cut(rest[2:], []byte{0})
	translated, text, _ := bytes.Cut(rest, []byte{0})
	r.runs(language)
	r.say(translated)
	if packed {
		text = r.inflateText(text)
	}
	r.sayNamed(keyword, text)
}

// gif goes through blocks, each of which is made of pieces with a length before them.
func (r *reader) gif(raw []byte) {
	if len(raw) < 13 {
		return
	}
	width, height := uint64(binary.LittleEndian.Uint16(raw[6:])), uint64(binary.LittleEndian.Uint16(raw[8:]))
	r.size(width, height)
	at := 13 + colours(raw[10])
	for at < len(raw) {
		switch raw[at] {
		case '!':
			if at+2 > len(raw) {
				return
			}
			at = r.gifExtension(raw, at+1)
		case ',':
			if at+10 > len(raw) {
				return
			}
			r.size(uint64(binary.LittleEndian.Uint16(raw[at+5:])), uint64(binary.LittleEndian.Uint16(raw[at+7:])))
			_, at = pieces(raw, at+10+colours(raw[at+9])+1, false)
		default: // ';' is the end
			r.trailing(raw[at+1:])
			return
		}
	}
}

// colours is the size of the table of colours that flags announce, in bytes.
func colours(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

func (r *reader) gifExtension(raw []byte, at int) int {
	const comment, plainText, application = 0xfe, 0x01, 0xff
	kind := raw[at]
	switch kind {
	case comment, plainText:
		text, end := pieces(raw, at+1, true)
		r.say(text)
		return end
	case application:
		// XMP is written in one piece; the lengths are a part of it.
		_, end := pieces(raw, at+1, false)
		r.runs(raw[at+1 : min(end, len(raw))])
		return end
	}
	_, end := pieces(raw, at+1, false)
	return end
}

// pieces puts together the pieces that begin at a place, and returns where they end.
func pieces(raw []byte, at int, keep bool) (data []byte, end int) {
	for at < len(raw) && raw[at] != 0 {
		next := at + 1 + int(raw[at])
		if keep && len(data) <= MaxText {
			data = append(data, raw[at+1:min(next, len(raw))]...)
		}
		at = next
	}
	return data, at + 1
}

func (r *reader) bmp(raw []byte) {
	width, height := int64(int32(binary.LittleEndian.Uint32(raw[18:]))), int64(int32(binary.LittleEndian.Uint32(raw[22:])))
	r.size(uint64(max(width, -width)), uint64(max(height, -height)))
	if end := uint64(binary.LittleEndian.Uint32(raw[2:])); end < uint64(len(raw)) {
		r.trailing(raw[end:])
	}
}

// riff goes through chunks: a type, a length, the data and perhaps a byte between.
func (r *reader) riff(raw []byte) {
	end := min(8+uint64(binary.LittleEndian.Uint32(raw[4:])), uint64(len(raw)))
	if end < 12 {
		end = uint64(len(raw))
	}
	r.riffChunks(raw[12:end], 0)
	r.trailing(raw[end:])
}

// maxLists is how deep lists of chunks are looked into.
const maxLists = 4

func (r *reader) riffChunks(b []byte, depth int) {
	for len(b) >= 8 {
		kind, size := string(b[:4]), uint64(binary.LittleEndian.Uint32(b[4:]))
		data := b[8:]
		data = data[:min(size, uint64(len(data)))]
		r.riffChunk(kind, data, depth)
		b = b[min(8+size+size%2, uint64(len(b))):]
	}
}

func (r *reader) riffChunk(kind string, data []byte, depth int) {
	switch kind {
	case "VP8X":
		if len(data) >= 10 {
			r.size(1+uint24(data[4:]), 1+uint24(data[7:]))
		}
	case "VP8 ":
		if len(data) >= 10 {
			r.size(uint64(binary.LittleEndian.Uint16(data[6:])&0x3fff), uint64(binary.LittleEndian.Uint16(data[8:])&0x3fff))
		}
	case "VP8L":
		if len(data) >= 5 {
			bits := binary.LittleEndian.Uint32(data[1:])
			r.size(uint64(bits&0x3fff)+1, uint64(bits>>14&0x3fff)+1)
		}
	case "EXIF":
		r.tiff(bytes.TrimPrefix(data, []byte("Exif\x00\x00")), false)
	case "XMP ", "_PMX", "iXML":
		r.say(data)
	case "id3 ", "ID3 ":
		r.id3(data)
	case "LIST":
		if len(data) >= 4 && depth < maxLists && string(data[:4]) != "movi" {
			r.riffChunks(data[4:], depth+1)
		}
	case "data", "ALPH", "ANMF", "fmt ", "ANIM":
	default:
		r.runs(data)
		if len(data) > 0 && len(data) < shortestRun && depth > 0 {
			r.say(data) // a short text of a list is one, too
		}
	}
}

func uint24(b []byte) uint64 { return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 }

// jpeg goes through segments: a marker, a length and the data. Behind the beginning of
// a scan come coded pixels up to the next marker.
func (r *reader) jpeg(raw []byte) {
	at := 2
	for {
		next := bytes.IndexByte(raw[min(at, len(raw)):], 0xff)
		if next < 0 {
			return
		}
		for at += next; at < len(raw) && raw[at] == 0xff; at++ {
		}
		if at >= len(raw) {
			return
		}
		marker := raw[at]
		at++
		switch {
		case marker == 0xd9: // the end; cameras put a second picture behind it
			if bytes.HasPrefix(raw[at:], []byte("\xff\xd8")) {
				at += 2
				continue
			}
			r.trailing(raw[at:])
			return
		case marker == 0, marker == 1, marker >= 0xd0 && marker <= 0xd8:
			continue // no data
		}
		if at+2 > len(raw) {
			return
		}
		size := max(int(binary.BigEndian.Uint16(raw[at:])), 2)
		r.jpegSegment(marker, raw[min(at+2, len(raw)):min(at+size, len(raw))])
		at += size
	}
}

var (
	exifMark      = []byte("Exif\x00\x00")
	xmpMark       = []byte("http://ns.adobe.com/xap/1.0/\x00")
	moreXMPMark   = []byte("http://ns.adobe.com/xmp/extension/\x00")
	photoshopMark = []byte("Photoshop 3.0\x00")
)

func (r *reader) jpegSegment(marker byte, data []byte) {
	const comment, app0, app15 = 0xfe, 0xe0, 0xef
	switch {
	case marker == comment:
		r.say(data)
	case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
		if len(data) >= 5 {
			r.size(uint64(binary.BigEndian.Uint16(data[3:])), uint64(binary.BigEndian.Uint16(data[1:])))
		}
	case marker < app0 || marker > app15: // tables and scans
	case bytes.HasPrefix(data, exifMark):
		r.tiff(data[len(exifMark):], false)
	case bytes.HasPrefix(data, xmpMark):
		r.say(data[len(xmpMark):])
	case bytes.HasPrefix(data, moreXMPMark):
		const digestAndPlace = 32 + 8
		r.say(data[min(len(moreXMPMark)+digestAndPlace, len(data)):])
	case bytes.HasPrefix(data, photoshopMark):
		r.photoshop(data[len(photoshopMark):])
	default:
		r.runs(data)
	}
}

// photoshop goes through resources: 8BIM, an id, a name, a length and the data.
func (r *reader) photoshop(b []byte) {
	const iptc = 0x0404
	for len(b) >= 12 && string(b[:4]) == "8BIM" {
		id := binary.BigEndian.Uint16(b[4:])
		name := int(b[6])
		head := 7 + name
		head += head % 2
		if head+4 > len(b) {
			break
		}
		r.say(b[7 : 7+name])
		size := uint64(binary.BigEndian.Uint32(b[head:]))
		data := b[head+4:]
		data = data[:min(size, uint64(len(data)))]
		if id == iptc {
			r.iptc(data)
		} else {
			r.runs(data)
		}
		b = b[min(uint64(head)+4+size+size%2, uint64(len(b))):]
	}
	r.runs(b)
}

// iptc goes through data sets: 0x1c, a record, a number, a length and the data.
func (r *reader) iptc(b []byte) {
	const application = 2
	for len(b) >= 5 && b[0] == 0x1c {
		record, size := b[1], int(binary.BigEndian.Uint16(b[3:]))
		data := b[5:]
		data = data[:min(size, len(data))]
		if record == application {
			r.say(data)
		}
		b = b[5+len(data):]
	}
	r.runs(b)
}
