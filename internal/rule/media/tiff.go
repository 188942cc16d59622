package media

import (
	"bytes"
	"encoding/binary"
)

const (
	// maxDirectories of one file are read: a photograph has four, a scanned book a few
	// more for each page.
	maxDirectories = 64
	// maxEntries of one directory are read. The largest known has about a hundred.
	maxEntries = 512
)

// Tags of TIFF and Exif that are read.
const (
	tagWidth     = 0x0100
	tagHeight    = 0x0101
	tagXMP       = 0x02bc
	tagIPTC      = 0x83bb
	tagPhotoshop = 0x8649
	tagExif      = 0x8769
	tagGPS       = 0x8825
	tagSubIFDs   = 0x014a
	tagComment   = 0x9286 // UserComment
	tagXPFirst   = 0x9c9b // XPTitle, and four more up to
	tagXPLast    = 0x9c9f // XPSubject
)

// directories are the lists of tags of one file.
type directories struct {
	reader *reader
	raw    []byte
	order  binary.ByteOrder
	isFile bool // a picture, not what another file says of itself
	queue  []uint32
	seen   map[uint32]bool
}

// tiff reads the tags of a TIFF, which are those of Exif, too. Offsets in it may point
// anywhere; each directory is read once.
func (r *reader) tiff(raw []byte, isFile bool) {
	if len(raw) < 8 {
		return
	}
	d := directories{reader: r, raw: raw, order: binary.BigEndian, isFile: isFile, seen: map[uint32]bool{}}
	switch string(raw[:2]) {
	case "II":
		d.order = binary.LittleEndian
	case "MM":
	default:
		r.runs(raw)
		return
	}
	d.add(d.order.Uint32(raw[4:]))
	for n := 0; n < len(d.queue); n++ {
		if n == maxDirectories {
			r.file.Cut = true
			return
		}
		d.read(d.queue[n])
	}
}

func (d *directories) add(offset uint32) {
	if offset != 0 && !d.seen[offset] && len(d.queue) <= maxDirectories {
		d.seen[offset] = true
		d.queue = append(d.queue, offset)
	}
}

func (d *directories) read(offset uint32) {
	const entrySize = 12
	if uint64(offset)+2 > uint64(len(d.raw)) {
		return
	}
	b := d.raw[offset:]
	count := int(d.order.Uint16(b))
	if count > maxEntries {
		d.reader.file.Cut = true
	}
	var width, height uint64
	b = b[2:]
	for n := 0; n < count && n < maxEntries && len(b) >= entrySize; n++ {
		e := entry{tag: d.order.Uint16(b), format: d.order.Uint16(b[2:])}
		e.data = d.value(b, e.format)
		switch {
		case e.tag == tagWidth && d.isFile:
			width = d.number(e)
		case e.tag == tagHeight && d.isFile:
			height = d.number(e)
		default:
			d.follow(e)
		}
		b = b[entrySize:]
	}
	d.reader.size(width, height)
	if len(b) >= 4 {
		d.add(d.order.Uint32(b))
	}
}

// entry is one tag and its value.
type entry struct {
	tag, format uint16
	data        []byte
}

// formats are the sizes of the formats of values, in bytes.
var formats = [...]uint64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

const (
	formatByte, formatText, formatShort = 1, 2, 3
	formatLong, formatAny, formatUTF8   = 4, 7, 129
)

func (d *directories) value(b []byte, format uint16) []byte {
	size := uint64(1)
	if int(format) < len(formats) {
		size = formats[format]
	}
	size *= uint64(d.order.Uint32(b[4:]))
	if size <= 4 {
		return b[8 : 8+size]
	}
	at := uint64(d.order.Uint32(b[8:]))
	if at >= uint64(len(d.raw)) {
		return nil
	}
	return d.raw[at:min(at+size, uint64(len(d.raw)))]
}

func (d *directories) number(e entry) uint64 {
	switch {
	case e.format == formatShort && len(e.data) >= 2:
		return uint64(d.order.Uint16(e.data))
	case len(e.data) >= 4:
		return uint64(d.order.Uint32(e.data))
	}
	return 0
}

func (d *directories) follow(e entry) {
	r := d.reader
	if r.file.Cut {
		return // tags may share one long value; nothing more of it would be kept
	}
	switch {
	case e.tag == tagExif, e.tag == tagGPS, e.tag == tagSubIFDs:
		for n := 0; n+4 <= len(e.data) && n < 4*maxDirectories; n += 4 {
			d.add(d.order.Uint32(e.data[n:]))
		}
	case e.tag == tagComment:
		d.comment(e.data)
	case e.tag >= tagXPFirst && e.tag <= tagXPLast:
		r.say16(e.data, false)
	case e.tag == tagIPTC:
		r.iptc(e.data)
	case e.tag == tagPhotoshop:
		r.photoshop(e.data)
	case e.tag == tagXMP, e.format == formatText, e.format == formatUTF8:
		r.say(e.data)
	case e.format == formatAny || e.format == formatByte:
		r.spend(e.data)
	}
}

// spend looks for text in a value of which nothing is known. Many tags may name the
// same bytes, so what is looked at is counted like what is unpacked.
func (r *reader) spend(b []byte) {
	b = b[:min(len(b), r.inflatable)]
	r.inflatable -= len(b)
	r.runs(b)
}

// comment is eight bytes that name the character set, and the text.
func (d *directories) comment(b []byte) {
	const set = 8
	if len(b) < set {
		return
	}
	name, text := b[:set], b[set:]
	if bytes.HasPrefix(name, []byte("UNICODE")) {
		big := d.order == binary.ByteOrder(binary.BigEndian)
		if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
			d.reader.sayMarked(text)
			return
		}
		// Programs do not agree on the order; both are read.
		d.reader.say16(text, big)
		d.reader.say16(text, !big)
		return
	}
	d.reader.say(text)
}
