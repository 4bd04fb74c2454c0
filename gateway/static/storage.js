// What this tab remembers, and only this tab: sessionStorage, never the URL, never another tab.

const PREFIX = "warmbox.";

export function recall(key) {
  try {
    return sessionStorage.getItem(PREFIX + key);
  } catch {
    return null; // storage is blocked: nothing is remembered
  }
}

export function remember(key, value) {
  try {
    if (value === null || value === "") sessionStorage.removeItem(PREFIX + key);
    else sessionStorage.setItem(PREFIX + key, value);
  } catch {
    // Blocked or full: the text is still on the page.
  }
}
