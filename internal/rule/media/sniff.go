package media

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// magic is what files begin with.
var magic = []struct {
	at    int
	bytes string
	is    Type
}{
	{0, "\x89PNG\r\n\x1a\n", PNG},
	{0, "\xff\xd8\xff", JPEG},
	{0, "GIF87a", GIF},
	{0, "GIF89a", GIF},
	{0, "II*\x00", TIFF},
	{0, "MM\x00*", TIFF},
	{0, "\x00\x00\x01\x00", Icon},
	{0, "%PDF-", PDF},
	{0, "OggS", Ogg},
	{0, "fLaC", FLAC},
	{0, "ID3", MP3},
	{0, "\x1aE\xdf\xa3", WebM},
	{0, "\x1f\x8b\x08", Gzip},
	{0, "PK\x03\x04", ZIP},
	{0, "PK\x05\x06", ZIP},
	{0, "\x7fELF", Executable},
	{0, "\xfe\xed\xfa\xce", Executable},
	{0, "\xfe\xed\xfa\xcf", Executable},
	{0, "\xce\xfa\xed\xfe", Executable},
	{0, "\xcf\xfa\xed\xfe", Executable},
	{0, "\xca\xfe\xba\xbe", Executable}, // Mach-O for several processors, or a Java class
	{0, "\x00asm", Executable},
	{0, "\x4c\x00\x00\x00\x01\x14\x02\x00", Executable}, // a Windows shortcut
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Unknown},    // documents and installers of old
	{8, "WEBP", WebP},
	{8, "WAVE", WAV},
}

// Sniff says what bytes are by their beginning.
func Sniff(b []byte) Type {
	b = b[:min(len(b), sniffed)]
	for _, m := range magic {
		if len(b) < m.at+len(m.bytes) || string(b[m.at:m.at+len(m.bytes)]) != m.bytes {
			continue
		}
		if m.at == 8 && string(b[:4]) != "RIFF" {
			continue
		}
		if m.is == ZIP && isOffice(b) {
			return OOXML
		}
		return m.is
	}
	switch {
	case len(b) >= 12 && string(b[:4]) == "RIFF":
		return RIFF
	case len(b) >= 12 && string(b[4:8]) == "ftyp":
		return brand(b)
	case len(b) == 0 || isText(b):
		return textual(b)
	case isProgram(b):
		return Executable
	case len(b) >= 26 && string(b[:2]) == "BM" && binary.LittleEndian.Uint32(b[6:]) == 0:
		return BMP
	case len(b) >= 4 && b[0] == 0xff && b[1]&0xf6 == 0xf0:
		return AAC
	case len(b) >= 4 && b[0] == 0xff && b[1]&0xe0 == 0xe0 && b[1]&0x18 != 0x08 && b[1]&0x06 != 0 && b[2]&0xf0 != 0xf0:
		return MP3
	}
	return Unknown
}

// isProgram finds a program of Windows, which says in its header where the other
// header stands.
func isProgram(b []byte) bool {
	if len(b) < 0x40 || string(b[:2]) != "MZ" {
		return false
	}
	at := uint64(binary.LittleEndian.Uint32(b[0x3c:]))
	return at+4 > uint64(len(b)) || string(b[at:at+4]) == "PE\x00\x00"
}

func isOffice(b []byte) bool {
	return bytes.Contains(b, []byte("[Content_Types].xml")) || bytes.Contains(b, []byte("word/")) || bytes.Contains(b, []byte("xl/")) || bytes.Contains(b, []byte("ppt/"))
}

// brand tells the kinds of files that are made of boxes: "ftyp" names the main one and
// those that it is compatible with.
func brand(b []byte) Type {
	end := min(uint64(binary.BigEndian.Uint32(b)), uint64(len(b)))
	for at := uint64(8); at+4 <= end; at += 4 {
		switch string(b[at : at+4]) {
		case "avif", "avis":
			return AVIF
		case "heic", "heix", "hevc", "mif1", "msf1":
			return HEIC
		case "M4A ", "M4B ":
			return M4A
		}
	}
	return MP4
}

// isText says whether the bytes are characters and none that controls a machine.
func isText(b []byte) bool {
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return len(b)%2 == 0 || len(b) == sniffed
	}
	for at := 0; at < len(b); {
		char, size := utf8.DecodeRune(b[at:])
		switch {
		case char == utf8.RuneError && size == 1:
			return len(b) == sniffed && len(b)-at < utf8.UTFMax && !utf8.FullRune(b[at:])
		case char < ' ' && char != '\t' && char != '\n' && char != '\r' && char != '\f' && char != 0x1b && char != '\b':
			return false
		}
		at += size
	}
	return true
}

// textual tells kinds of text.
func textual(b []byte) Type {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if bytes.HasPrefix(b, []byte("#!")) {
		return Script
	}
	start := bytes.ToLower(bytes.TrimSpace(b))
	switch {
	case bytes.HasPrefix(start, []byte("@echo off")), bytes.HasPrefix(start, []byte("<?php")):
		return Script
	case bytes.HasPrefix(start, []byte("<!doctype html")), bytes.HasPrefix(start, []byte("<html")), bytes.HasPrefix(start, []byte("<script")):
		return HTML
	case bytes.HasPrefix(start, []byte("<")) && bytes.Contains(start, []byte("<svg")):
		return SVG
	case bytes.HasPrefix(start, []byte("<")) && bytes.Contains(start, []byte("<html")):
		return HTML
	}
	return Text
}
