//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"encoding/binary"
	"os"
)

// maxLoaderCache bounds /etc/ld.so.cache, which has some 40 bytes for each library
// of the machine.
const maxLoaderCache = 8 << 20

// readLoaderCache is where the loader finds libraries, by their names. The format
// is that of glibc since 2.2 (sysdeps/generic/dl-cache.h): a header, entries of 24
// bytes, and texts.
func readLoaderCache() map[string]string {
	raw, err := os.ReadFile("/etc/ld.so.cache")
	if err != nil || len(raw) > maxLoaderCache {
		return nil // the usual folders are looked through then
	}
	return parseLoaderCache(raw, loaderFlags)
}

func parseLoaderCache(raw []byte, flags uint32) map[string]string {
	const magic, headerSize, entrySize = "glibc-ld.so.cache1.1", 48, 24
	start := bytes.Index(raw, []byte(magic)) // an older format may stand in front
	if start < 0 || len(raw)-start < headerSize {
		return nil
	}
	raw = raw[start:]
	count := int(binary.LittleEndian.Uint32(raw[len(magic):]))
	if count > (len(raw)-headerSize)/entrySize {
		return nil
	}
	text := func(at uint32) string {
		if int(at) >= len(raw) {
			return ""
		}
		end := bytes.IndexByte(raw[at:], 0)
		if end < 0 {
			return ""
		}
		return string(raw[at : int(at)+end])
	}
	found := map[string]string{}
	for i := range count {
		entry := raw[headerSize+i*entrySize:]
		if binary.LittleEndian.Uint32(entry) != flags {
			continue
		}
		name := text(binary.LittleEndian.Uint32(entry[4:]))
		if _, there := found[name]; !there && name != "" {
			found[name] = text(binary.LittleEndian.Uint32(entry[8:]))
		}
	}
	return found
}
