package advisory

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"deps.dev/util/semver"

	"gatehouse/internal/rule"
)

const (
	// maxEntries bounds the files of one archive. npm had about a quarter of a million in
	// 2026, nearly all of them about malware.
	maxEntries = 2_000_000
	// maxEntryBytes bounds one advisory. The largest list every version of a package.
	maxEntryBytes = 8 << 20
	// maxUnpacked bounds an archive when it is unpacked, so that a small file cannot
	// unfold into one that fills the memory.
	maxUnpacked = 4 << 30
	// maxSummary bounds what is kept of the text of an advisory.
	maxSummary = 240
	// maxVersions bounds the versions listed one by one that are kept of one advisory.
	maxVersions = 5000
)

// osv is what is read of an advisory in the OSV format.
type osv struct {
	ID        string     `json:"id"`
	Modified  time.Time  `json:"modified"`
	Withdrawn *time.Time `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	Summary   string     `json:"summary"`
	Details   string     `json:"details"`
	Specific  struct {
		Severity string `json:"severity"`
	} `json:"database_specific"`
	Affected []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Type   string              `json:"type"`
			Events []map[string]string `json:"events"`
		} `json:"ranges"`
		Versions []string `json:"versions"`
	} `json:"affected"`
}

// collection is what is being put together.
type collection struct {
	packages map[string][]Advisory
	from     From
}

// archive reads a ZIP of one ecosystem, one file for each advisory.
func (c *collection) archive(file io.ReaderAt, size int64) error {
	z, err := zip.NewReader(file, size)
	if err != nil {
		return fmt.Errorf("reading the archive: %w", err)
	}
	if len(z.File) > maxEntries {
		return fmt.Errorf("the archive has more than %d files", maxEntries)
	}
	left := int64(maxUnpacked)
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		n, err := c.entry(f)
		if errors.Is(err, errNotUnderstood) {
			c.from.Skipped++
		} else if err != nil {
			return err
		}
		if left -= n; left < 0 {
			return errors.New("the archive unfolds into more than may be read")
		}
	}
	if c.from.Advisories == 0 {
		return errors.New("the archive has no advisory that could be understood")
	}
	if c.from.Skipped > c.from.Advisories {
		return fmt.Errorf("%d of its files could not be understood, which is more than could be", c.from.Skipped)
	}
	return nil
}

// errNotUnderstood is about one advisory only.
var errNotUnderstood = errors.New("not understood")

func (c *collection) entry(f *zip.File) (size int64, err error) {
	r, err := f.Open()
	if err != nil {
		return 0, fmt.Errorf("reading the archive: %w", err)
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, maxEntryBytes)) // what is cut off is no JSON
	if err != nil {
		return 0, fmt.Errorf("reading the archive: %w", err)
	}
	size = int64(len(raw))
	var o osv
	if err := json.Unmarshal(raw, &o); err != nil || o.ID == "" {
		return size, errNotUnderstood
	}
	return size, c.add(o)
}

func (c *collection) add(o osv) error {
	if o.Withdrawn != nil {
		return nil
	}
	understood := false
	for _, affected := range o.Affected {
		if affected.Package.Ecosystem != string(c.from.Ecosystem) || affected.Package.Name == "" || strings.ContainsAny(affected.Package.Name, "\t\n") {
			continue
		}
		a := Advisory{ID: o.ID, Aliases: o.Aliases, Summary: summaryOf(o), Severity: severities[o.Specific.Severity], Malware: strings.HasPrefix(o.ID, "MAL-")}
		if a.Malware {
			a.Severity = rule.Critical
		}
		for _, r := range affected.Ranges {
			if r.Type == "GIT" {
				continue // commits, not versions
			}
			ranges, err := rangesOf(c.from.Ecosystem, r.Events)
			if err != nil {
				return errNotUnderstood
			}
			a.Ranges = append(a.Ranges, ranges...)
		}
		// Where there are ranges, the list of versions repeats what they say.
		if len(a.Ranges) == 0 {
			if len(affected.Versions) > maxVersions {
				return errNotUnderstood
			}
			a.Versions = affected.Versions
		}
		if len(a.Ranges)+len(a.Versions) == 0 {
			continue
		}
		understood = true
		at := key(c.from.Ecosystem, affected.Package.Name)
		c.packages[at] = append(c.packages[at], a)
		c.from.Advisories++
	}
	if !understood {
		return errNotUnderstood
	}
	if o.Modified.After(c.from.Newest) {
		c.from.Newest = o.Modified.UTC()
	}
	return nil
}

var severities = map[string]rule.Severity{
	"LOW": rule.Low, "MODERATE": rule.Medium, "MEDIUM": rule.Medium, "HIGH": rule.High, "CRITICAL": rule.Critical,
}

func summaryOf(o osv) string {
	text := o.Summary
	if text == "" {
		text, _, _ = strings.Cut(strings.TrimSpace(o.Details), "\n")
	}
	return clip(strings.ToValidUTF8(text, ""), maxSummary)
}

// rangesOf turns events into ranges. "The events objects can be in any order", so they
// are sorted by version first; 0 is before every version.
func rangesOf(e Ecosystem, events []map[string]string) ([]Range, error) {
	type event struct {
		kind, version string
		at            *semver.Version // nil for the beginning
	}
	var list []event
	for _, one := range events {
		for kind, version := range one {
			if kind != "introduced" && kind != "fixed" && kind != "last_affected" {
				continue
			}
			ev := event{kind: kind, version: version}
			if kind != "introduced" || version != "0" {
				v, err := parse(e, version)
				if err != nil {
					return nil, err
				}
				ev.at = v
			}
			list = append(list, ev)
		}
	}
	slices.SortStableFunc(list, func(a, b event) int {
		switch {
		case a.at == nil && b.at == nil:
			return 0
		case a.at == nil:
			return -1
		case b.at == nil:
			return 1
		}
		return a.at.Compare(b.at)
	})
	var out []Range
	open := false
	for _, ev := range list {
		switch {
		case ev.kind == "introduced" && !open:
			from := ev.version
			if ev.at == nil {
				from = ""
			}
			out, open = append(out, Range{Introduced: from}), true
		case ev.kind == "fixed" && open:
			out[len(out)-1].Fixed, open = ev.version, false
		case ev.kind == "last_affected" && open:
			out[len(out)-1].Last, open = ev.version, false
		}
	}
	return out, nil
}
