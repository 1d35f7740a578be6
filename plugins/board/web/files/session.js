// Who looks at the board, where the server wants to know.

import { byId, setText } from "./dom.js";
import { ask, Refused } from "./api.js";

const place = "board"; // in the storage of this tab: where somebody was before the login

// who asks the server who is looking, until it answers; null: the browser goes to the login.
export async function who(waiting) {
  for (;;) {
    try {
      const { value } = await ask("caller");
      if (value.identities && !value.name) return login();
      setText(byId("who"), value.name ?? "");
      byId("logout").hidden = value.source !== "cookie";
      return value;
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return login();
      waiting(error);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

// login has the browser go to the login, and come back to what was shown.
export function login() {
  keep(location.search);
  // EdgeGallery's gateway, below /mep, is for programs, which bear tokens: people log in at the server itself
  location.assign(new URL(location.pathname.startsWith("/mep/") ? "../login?next=board" : "login?next=board", document.baseURI));
  return null;
}

// restore shows what was shown before the login; true: it was something else than now.
export function restore() {
  const search = kept();
  if (!search || location.search) return false;
  history.replaceState(null, "", location.pathname + search);
  return true;
}

export function forbidden(caller) {
  return `${caller.name || "Whoever you are"} may not see this: it needs the role reader, or admin. Log out, and in as somebody else.`;
}

function keep(search) {
  try {
    sessionStorage.setItem(place, search);
  } catch { // a browser may forbid it: then the board is shown as it is
  }
}

function kept() {
  try {
    const search = sessionStorage.getItem(place);
    sessionStorage.removeItem(place);
    return search;
  } catch {
    return "";
  }
}
