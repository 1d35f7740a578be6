package adminapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
)

// CheckID says what is wrong with the id of a credential, which becomes part of a path.
func CheckID(id string) error {
	if !mp1.ValidID(id) {
		return fmt.Errorf("ID must be %s, not %+q", mp1.IDForm, id)
	}
	return nil
}

// Check says what the server would refuse, before it is asked.
func (c New) Check() error {
	if err := CheckID(c.ID); err != nil {
		return err
	}
	for _, r := range c.Roles {
		if !slices.Contains(conf.RoleNames(), r) {
			return fmt.Errorf("--role must be of %s, not %+q", strings.Join(conf.RoleNames(), ", "), r)
		}
	}
	for _, a := range c.Apps {
		if id, _ := strings.CutSuffix(a, "*"); !mp1.ValidID(id) {
			return fmt.Errorf("--apps must be appInstanceIds, or beginnings of them with a * behind, separated by commas, not %+q; everything needs --role admin", a)
		}
	}
	switch host := slices.Contains(c.Roles, conf.RoleHost); {
	case host && len(c.Apps) == 0:
		return errors.New("--role host needs --apps, the applications that it acts for")
	case !host && len(c.Apps) > 0:
		return errors.New("--apps is of --role host only; an application acts for itself")
	}
	return nil
}
