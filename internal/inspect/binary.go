package inspect

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/media"
	"gatehouse/internal/wire"
)

// BinaryRule is the rule that judges what binary content is.
const BinaryRule = "binary-content"

// Bounded is the same Inspector with other limits of binary content than the defaults.
func (i *Inspector) Bounded(limits media.Limits) *Inspector {
	other := *i
	other.media, other.clean = limits, newClean() // which other limits say nothing of
	return &other
}

// shape is where binary content stands in a message.
type shape uint8

const (
	noBinary shape = iota
	inURI          // a string that is a data: URI, such as the src of an icon
	inBlock        // the data of an image or audio block
	inBlob         // the blob of a resource
)

// binaryShape says whether a string is binary content, and where it stands.
func binaryShape(doc *wire.Document, n int, subject *rule.Subject) (shape, wire.Value) {
	switch {
	case subject.IsKey:
	case strings.EqualFold(subject.Key, "blob"):
		return inBlob, doc.Around(n)
	case strings.EqualFold(subject.Key, "data"):
		block := doc.Around(n)
		switch member(block, "type").Text() {
		case "image", "audio", "video":
			return inBlock, block
		}
	}
	const scheme = "data:"
	if !subject.IsKey && len(subject.Text) > len(scheme) && strings.EqualFold(subject.Text[:len(scheme)], scheme) {
		return inURI, wire.Value{}
	}
	return noBinary, wire.Value{}
}

// member is a member of an object by its name in any case, as careless decoders read it.
func member(object wire.Value, name string) wire.Value {
	if v := object.Get(name); v.Exists() {
		return v
	}
	twin, _ := object.Lookalike(name)
	return object.Get(twin)
}

// showBinary judges binary content: what it is, and the text in it. "blob: a
// base64-encoded string representing the binary data of the item", and the same for
// data. Something that is to be taken out takes all of it with it: nothing else could
// be made of a picture without knowing its kind better than the program that draws it.
// It says whether all that the string is in Base64 was shown as a text.
func (i *Inspector) showBinary(out *Outcome, doc *wire.Document, n int, subject rule.Subject, work *scratch) (decoded bool, err error) {
	where, around := binaryShape(doc, n, &subject)
	if where == noBinary {
		return false, nil
	}
	c := content{inspector: i, out: out, doc: doc, s: doc.Strings[n], subject: subject, work: work}
	if !c.decode(where, around) {
		return false, nil
	}
	file := media.Read(c.raw)
	file.Declared, file.Size, file.Damaged = c.declared, c.size, c.damaged
	if where != inURI { // the rule reads URIs in any text, and has read this one
		if err := c.judge(&file); err != nil {
			return false, err
		}
	}
	if err := c.showText(&file, where); err != nil {
		return false, err
	}
	if c.gone != "" {
		out.remove(doc, n, where, around, c.gone)
	}
	return where == inBlob && c.encoding != nil, nil
}

// content is binary content that is being judged.
type content struct {
	inspector *Inspector
	out       *Outcome
	doc       *wire.Document
	s         wire.String
	subject   rule.Subject
	work      *scratch

	declared string
	raw      []byte // of a block or URI that is too large the beginning
	size     int    // of all of it
	encoding *base64.Encoding
	damaged  bool
	gone     string // the rule because of which it goes; empty if it stays
}

// decode reads the bytes. A blob is read whole, because it may be a text of any
// length; it is no longer than the message. Of everything else no more is read than it
// may have.
func (c *content) decode(where shape, around wire.Value) bool {
	most := c.inspector.media.OrDefault().Bytes
	if where == inURI {
		uri, ok := media.ParseURI(c.subject.Text)
		if !ok {
			return false
		}
		c.declared = uri.Declared
		c.raw, _ = uri.Bytes(most)
		c.size = len(c.raw)
		return true
	}
	c.declared = member(around, "mimeType").Text()
	text := c.subject.Text
	c.size = base64.StdEncoding.DecodedLen(len(text)) - strings.Count(text[max(0, len(text)-2):], "=")
	whole := where == inBlob || c.size <= most
	if !whole {
		text = text[:most/3*4]
	}
	c.raw, c.encoding = media.Decode(text)
	if c.damaged = c.encoding == nil; whole {
		c.size = len(c.raw)
	}
	return true
}

// judge shows the rule what is known of the content.
func (c *content) judge(file *media.File) error {
	r := c.inspector.binary
	if r == nil || r.Surfaces&c.subject.Surface == 0 {
		return nil
	}
	subject := c.subject
	subject.Binary, subject.Media = file, c.inspector.media
	matches, err := r.Detect(subject)
	if err != nil {
		return err
	}
	var found []rule.Found
	for _, m := range matches {
		found = append(found, rule.Found{Rule: r.ID, Match: r.Rated(m)})
	}
	c.follow(subject, found)
	return nil
}

// follow notes what was found in a form of the content.
func (c *content) follow(subject rule.Subject, found []rule.Found) {
	if change := c.inspector.follow(c.out, c.doc, c.s, subject, found); !change.none() && c.gone == "" {
		c.gone = change.because()
	}
}

// showText shows the text in the content to the rules. What is a text itself is shown
// as it stands, and in a blob it can be mended.
func (c *content) showText(file *media.File, where shape) error {
	subject := c.subject
	if where == inBlob || file.Type.Textual() {
		// Bytes that are no UTF-8 do not make it less of a text: readers replace them.
		subject.Text = strings.ToValidUTF8(string(c.raw), "\uFFFD")
		if !file.Type.Textual() {
			subject.Text = strings.Map(withoutControl, subject.Text)
		}
		if where == inBlob && file.Type.Textual() && file.Type != media.SVG && c.encoding != nil {
			if err := c.inspector.show(c.out, c.doc, c.s, subject, c.encoding, c.work); err != nil {
				return err
			}
		} else if err := c.detect(subject, ""); err != nil {
			return err
		}
	}
	if file.Text == "" || file.Text == subject.Text+"\n" {
		return nil
	}
	subject.Text = file.Text
	return c.detect(subject, ", in the text beside the content")
}

// withoutControl leaves out characters that mean nothing between bytes that are no text:
// every picture has some.
func withoutControl(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

// detect shows the rules a text of which nothing can be mended.
func (c *content) detect(subject rule.Subject, place string) (err error) {
	if subject.Text == "" {
		return nil
	}
	c.work.matches, err = c.inspector.readers[subject.Surface].Detect(subject, c.work.matches[:0])
	if err != nil {
		return err
	}
	found := rule.Combine(c.work.matches)
	for n := range found {
		found[n].Detail += place
	}
	c.follow(subject, found)
	return nil
}

// because is the rule that stands first for a change.
func (c *change) because() string {
	switch {
	case c.cut != "":
		return c.cut
	case len(c.redact) > 0:
		return c.redact[0].Rule
	case len(c.annotate) > 0:
		return c.annotate[0]
	}
	return ""
}

// remove puts a note in the place of binary content. A block becomes one of text, and a
// resource one of text, so that the rest of the answer keeps its use.
func (out *Outcome) remove(doc *wire.Document, n int, where shape, around wire.Value, id string) {
	s := doc.Strings[n]
	note := Withheld(id)
	as := func(s wire.String, text string) wire.Edit {
		return wire.Edit{Start: int(s.Start) - 1, End: int(s.End) + 1, New: wire.AppendString(nil, text)}
	}
	mended := where == inBlock && !member(around, "blob").Exists() || where == inBlob && around.Get("uri").Exists() && !member(around, "data").Exists()
	if _, twin := around.Lookalike("text", "type", "mimeType"); !mended || twin || around.Get("text").Exists() {
		if where != inURI {
			note = base64.StdEncoding.EncodeToString([]byte(note))
		}
		out.removed = append(out.removed, as(s, note))
		return
	}
	edits := []wire.Edit{as(doc.Strings[s.Key], "text"), as(s, note)}
	if where == inBlock {
		edits = append(edits, around.Get("type").Replace([]byte(`"text"`)))
		if mimeType, found := around.Remove("mimeType"); found {
			edits = append(edits, mimeType)
		}
	} else if mimeType := around.Get("mimeType"); mimeType.Exists() {
		edits = append(edits, mimeType.Replace([]byte(`"text/plain"`)))
	}
	out.removed = append(out.removed, edits...)
}

// settleRemoved leaves what is removed, and of the other edits those that do not touch
// it.
func (out *Outcome) settleRemoved() {
	if len(out.removed) == 0 {
		return
	}
	start := func(a, b wire.Edit) int { return a.Start - b.Start }
	slices.SortStableFunc(out.removed, start)
	kept := out.removed[:1]
	for _, e := range out.removed[1:] {
		if e.Start >= kept[len(kept)-1].End {
			kept = append(kept, e)
		}
	}
	n := 0
	var apart []wire.Edit
	for _, e := range out.Edits {
		for n < len(kept) && kept[n].End <= e.Start {
			n++
		}
		if n == len(kept) || e.End <= kept[n].Start {
			apart = append(apart, e)
		}
	}
	out.Edits, out.removed = append(apart, kept...), nil
	slices.SortStableFunc(out.Edits, start)
}
