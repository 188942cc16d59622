package profile

import (
	"errors"
	"fmt"
	"regexp"
)

// imageForm is an image that cannot change: by the digest of its manifest, or by its
// id, which is the digest of its configuration. A tag alone is whatever somebody
// pushed last.
var imageForm = regexp.MustCompile(`^(?:[a-z0-9][a-zA-Z0-9._:/-]{0,254}@)?sha256:[0-9a-f]{64}$`)

// CheckImage refuses a name that may lead to another image tomorrow.
func CheckImage(name string) error {
	if !imageForm.MatchString(name) {
		return fmt.Errorf("the image %q is not pinned; write NAME@sha256:…, which `docker image inspect` shows under RepoDigests, or its id, sha256:…", name)
	}
	return nil
}

// CheckRuntime refuses a runtime and an image that do not belong together, and what
// means nothing in a container.
func (p Profile) CheckRuntime() error {
	switch {
	case !p.InContainer() && p.Image != "":
		return errors.New("an image needs an engine; write runtime: docker or runtime: podman")
	case !p.InContainer():
		return nil
	case p.Image == "":
		return fmt.Errorf("a container of %s needs an image; name it by digest with image", p.Runtime)
	case p.RecordFiles:
		return errors.New("what is refused of files in a container is not recorded; take record_files out")
	case len(p.Execute) > 0:
		return errors.New("an image brings the programs that a server may start; execute has no meaning in a container")
	}
	return CheckImage(p.Image)
}
