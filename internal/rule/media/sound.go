package media

import (
	"bytes"
	"encoding/binary"
)

// mpeg is sound with a tag before it, and perhaps one of 128 bytes behind it.
func (r *reader) mpeg(raw []byte) {
	rest := raw
	if bytes.HasPrefix(raw, []byte("ID3")) {
		rest = r.id3(raw)
	}
	const oldTag = 128
	if len(rest) >= oldTag && string(rest[len(rest)-oldTag:][:3]) == "TAG" {
		for _, field := range [][]byte{rest[len(rest)-125:][:30], rest[len(rest)-95:][:30], rest[len(rest)-65:][:30], rest[len(rest)-31:][:30]} {
			r.say(field)
		}
	}
	if at := bytes.LastIndex(rest, []byte("APETAGEX")); at >= 0 {
		r.runs(rest[at:])
	}
}

// id3 reads a tag of ID3v2, which is a header and frames, and returns what is behind it.
func (r *reader) id3(raw []byte) (rest []byte) {
	const head = 10
	if len(raw) < head || string(raw[:3]) != "ID3" {
		r.runs(raw)
		return nil
	}
	version, flags, size := raw[3], raw[5], head+syncSafe(raw[6:])
	b := raw[head:min(size, len(raw))]
	if flags&0x80 != 0 {
		b = bytes.ReplaceAll(b, []byte{0xff, 0}, []byte{0xff}) // "unsynchronisation"
	}
	if flags&0x40 != 0 && len(b) >= 4 && version > 2 { // an extended header
		skip := int(min(binary.BigEndian.Uint32(b), uint32(len(b)))) + 4
		if version == 4 {
			skip = syncSafe(b)
		}
		b = b[min(max(skip, 0), len(b)):]
	}
	r.id3Frames(b, version)
	return raw[min(size, len(raw)):]
}

// syncSafe is a number of 28 bits, seven in each byte.
func syncSafe(b []byte) int {
	return int(b[0]&0x7f)<<21 | int(b[1]&0x7f)<<14 | int(b[2]&0x7f)<<7 | int(b[3]&0x7f)
}

func (r *reader) id3Frames(b []byte, version byte) {
	head := 10
	if version == 2 {
		head = 6
	}
	for len(b) > head && b[0] != 0 {
		var size uint64
		packed := false
		switch version {
		case 2:
			size = uint64(b[3])<<16 | uint64(b[4])<<8 | uint64(b[5])
		case 4:
			size = uint64(syncSafe(b[4:]))
			packed = b[9]&0x08 != 0
		default:
			size = uint64(binary.BigEndian.Uint32(b[4:]))
			packed = b[9]&0x80 != 0
		}
		data := b[head:]
		data = data[:min(size, uint64(len(data)))]
		b = b[head+len(data):]
		if packed && len(data) > 4 {
			data = r.inflateText(data[4:]) // behind the size of what is packed
		}
		r.id3Frame(data)
	}
}

// id3Frame is a picture, or a text with its character set before it. Descriptions,
// languages and addresses stand in between; zeros part them.
func (r *reader) id3Frame(data []byte) {
	for _, mark := range []string{"\xff\xd8\xff", "\x89PNG"} {
		if at := bytes.Index(data[:min(len(data), maxName)], []byte(mark)); at >= 0 {
			r.runs(data[:at])
			r.inside(data[at:])
			return
		}
	}
	if len(data) < 2 {
		return
	}
	switch set := data[0]; set {
	case 1, 2:
		text := data[1:]
		if marked := bytes.Index(text[:min(len(text), 8)], []byte("\xff\xfe")); marked >= 0 {
			r.say16(text[marked:], false)
		} else if marked := bytes.Index(text[:min(len(text), 8)], []byte("\xfe\xff")); marked >= 0 {
			r.say16(text[marked:], true)
		} else {
			r.say16(text, true)
		}
	case 0, 3:
		r.say(data[1:])
	default:
		r.runs(data)
	}
}

// ogg goes through pages and puts the beginning of what they carry together, which is
// where the comments stand.
func (r *reader) ogg(raw []byte) {
	const head = 27
	var packets []byte
	for len(raw) >= head && string(raw[:4]) == "OggS" && len(packets) <= MaxText {
		segments := int(raw[26])
		body := head + segments
		if body > len(raw) {
			break
		}
		size := 0
		for _, n := range raw[head:body] {
			size += int(n)
		}
		end := min(body+size, len(raw))
		packets = append(packets, raw[body:end]...)
		raw = raw[end:]
	}
	for _, mark := range []string{"\x03vorbis", "OpusTags", "\x81theora"} {
		if at := bytes.Index(packets, []byte(mark)); at >= 0 {
			r.vorbis(packets[at+len(mark):])
		}
	}
	if at := bytes.Index(packets, []byte("fLaC")); at >= 0 && r.nested < maxNested {
		r.nested++
		r.flac(packets[at:])
		r.nested--
	}
	if len(raw) > 0 && len(packets) <= MaxText {
		r.trailing(raw)
	}
}

// vorbis is the name of a program and a list of comments, each with its length before
// it.
func (r *reader) vorbis(b []byte) {
	next := func() ([]byte, bool) {
		if len(b) < 4 {
			return nil, false
		}
		size := uint64(binary.LittleEndian.Uint32(b))
		text := b[4:]
		text = text[:min(size, uint64(len(text)))]
		b = b[4+len(text):]
		return text, true
	}
	vendor, ok := next()
	if !ok || len(b) < 4 {
		return
	}
	r.say(vendor)
	count := binary.LittleEndian.Uint32(b)
	b = b[4:]
	for ; count > 0; count-- {
		comment, ok := next()
		if !ok {
			return
		}
		r.say(comment)
	}
}

// flac goes through blocks: whether it is the last, the kind, a length and the data.
func (r *reader) flac(raw []byte) {
	const application, comments, picture = 2, 4, 6
	b := raw[4:]
	for len(b) >= 4 {
		kind, last := b[0]&0x7f, b[0]&0x80 != 0
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		data := b[4:]
		data = data[:min(size, len(data))]
		b = b[4+len(data):]
		switch kind {
		case comments:
			r.vorbis(data)
		case picture:
			r.flacPicture(data)
		case application:
			r.runs(data)
		}
		if last {
			return
		}
	}
}

// flacPicture is a kind, a media type, a description, five numbers and the picture.
func (r *reader) flacPicture(b []byte) {
	b = b[min(4, len(b)):]
	for range 2 {
		if len(b) < 4 {
			return
		}
		size := uint64(binary.BigEndian.Uint32(b))
		text := b[4:]
		text = text[:min(size, uint64(len(text)))]
		r.say(text)
		b = b[4+len(text):]
	}
	const numbers = 20
	if len(b) > numbers {
		r.inside(b[numbers:])
	}
}

// maxBoxes is how deep boxes in boxes are looked into.
const maxBoxes = 8

// boxes goes through a file of ISO 14496-12: boxes with a length and a kind.
func (r *reader) boxes(raw []byte) {
	r.box(raw, 0)
	// Exif and XMP of a picture are items in the middle of the coded data.
	for _, mark := range []string{"<x:xmpmeta", "<?xpacket begin"} {
		if at := bytes.Index(raw, []byte(mark)); at >= 0 {
			r.runs(raw[at:min(at+MaxText, len(raw))])
			break
		}
	}
	if at := bytes.Index(raw, exifMark); at >= 0 {
		r.tiff(raw[at+len(exifMark):], false)
	}
}

func (r *reader) box(b []byte, depth int) {
	for len(b) >= 8 {
		size, kind, head := uint64(binary.BigEndian.Uint32(b)), string(b[4:8]), uint64(8)
		switch {
		case size == 0:
			size = uint64(len(b))
		case size == 1 && len(b) >= 16:
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		size = min(max(size, head), uint64(len(b)))
		r.oneBox(kind, b[head:size], depth)
		b = b[size:]
	}
	if depth == 0 {
		r.trailing(b)
	}
}

func (r *reader) oneBox(kind string, data []byte, depth int) {
	switch kind {
	case "moov", "trak", "mdia", "minf", "stbl", "udta", "ilst", "iprp", "ipco", "edts", "dinf":
		if depth < maxBoxes {
			r.box(data, depth+1)
			return
		}
		r.file.Cut = true
	case "meta": // some writers leave out version and flags
		skip := 4
		if len(data) >= 8 && string(data[4:8]) == "hdlr" {
			skip = 0
		}
		if depth < maxBoxes && len(data) >= skip {
			r.box(data[skip:], depth+1)
			return
		}
		r.file.Cut = true
	case "ispe":
		if len(data) >= 12 {
			r.size(uint64(binary.BigEndian.Uint32(data[4:])), uint64(binary.BigEndian.Uint32(data[8:])))
		}
	case "tkhd":
		if len(data) >= 8 {
			end := data[len(data)-8:]
			r.size(uint64(binary.BigEndian.Uint16(end)), uint64(binary.BigEndian.Uint16(end[4:])))
		}
	case "mdat", "idat", "free", "skip", "stco", "stsz", "stsc", "stts", "ctts", "stss", "co64", "iloc":
	default:
		r.runs(data)
	}
}
