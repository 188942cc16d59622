package registry

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// reader understands an answer.
type reader func(raw []byte) (document, error)

// maxText bounds what is kept of a text of a registry.
const maxText = 300

// readNPM reads npm's whole document of a package.
func readNPM(raw []byte) (document, error) {
	var answer struct {
		Tags     map[string]string          `json:"dist-tags"`
		Time     map[string]json.RawMessage `json:"time"`
		Versions map[string]struct {
			Deprecated json.RawMessage `json:"deprecated"`
			Scripts    map[string]any  `json:"scripts"`
			Install    bool            `json:"hasInstallScript"`
		} `json:"versions"`
		Repository json.RawMessage `json:"repository"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return document{}, err
	}
	if answer.Versions == nil && answer.Time == nil {
		return document{}, errors.New("it has no versions")
	}
	d := document{Exists: len(answer.Versions) > 0, Latest: answer.Tags["latest"], Source: repository(answer.Repository), Versions: map[string]release{}}
	for version, v := range answer.Versions {
		out := release{At: timeOf(answer.Time[version]), Known: true}
		// "deprecated": false stands there too, and means nothing.
		if json.Unmarshal(v.Deprecated, &out.Deprecated) == nil {
			out.Deprecated = cut(out.Deprecated)
		}
		for _, kind := range []string{"preinstall", "install", "postinstall"} {
			if line, ok := v.Scripts[kind].(string); ok && line != "" {
				out.Scripts = append(out.Scripts, cut(kind+": "+line))
			}
		}
		if v.Install && len(out.Scripts) == 0 {
			out.Scripts = []string{"install: builds itself (binding.gyp)"}
		}
		d.Versions[version] = out
	}
	d.First = timeOf(answer.Time["created"])
	return d, nil
}

// readPyPI reads the JSON API of PyPI.
func readPyPI(raw []byte) (document, error) {
	var answer struct {
		Info *struct {
			Version     string            `json:"version"`
			Classifiers []string          `json:"classifiers"`
			URLs        map[string]string `json:"project_urls"`
			HomePage    string            `json:"home_page"`
		} `json:"info"`
		Releases map[string][]struct {
			At     time.Time `json:"upload_time_iso_8601"`
			Kind   string    `json:"packagetype"`
			Yanked bool      `json:"yanked"`
			Why    string    `json:"yanked_reason"`
		} `json:"releases"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return document{}, err
	}
	if answer.Info == nil || answer.Releases == nil {
		return document{}, errors.New("it has no versions")
	}
	d := document{Exists: true, Latest: answer.Info.Version, Source: answer.Info.HomePage, Versions: map[string]release{}}
	for label, url := range answer.Info.URLs {
		if label = strings.ToLower(label); label == "repository" || label == "source" || label == "source code" {
			d.Source = url
		}
	}
	inactive := ""
	for _, c := range answer.Info.Classifiers {
		if strings.HasSuffix(c, ":: 7 - Inactive") {
			inactive = "its authors say that it is inactive"
		}
	}
	for version, files := range answer.Releases {
		if len(files) == 0 {
			continue
		}
		out := release{Known: true, Deprecated: inactive}
		wheel, yanked := false, true
		for _, f := range files {
			if out.At.IsZero() || f.At.Before(out.At) {
				out.At = f.At
			}
			wheel = wheel || f.Kind == "bdist_wheel"
			if yanked = yanked && f.Yanked; f.Yanked && out.Deprecated == "" {
				out.Deprecated = cut("it was withdrawn: " + f.Why)
			}
		}
		if !yanked {
			out.Deprecated = inactive
		}
		if !wheel {
			out.Scripts = []string{"it is there as a source only, which runs its own code when it is built"}
		}
		if d.First.IsZero() || out.At.Before(d.First) {
			d.First = out.At
		}
		d.Versions[version] = out
	}
	return d, nil
}

func repository(raw json.RawMessage) string {
	var text string
	var object struct {
		URL string `json:"url"`
	}
	if json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &object) == nil {
		text = object.URL
	}
	return cut(text)
}

func timeOf(raw json.RawMessage) (t time.Time) {
	_ = json.Unmarshal(raw, &t) // what is no time is not known
	return t
}

func cut(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}
