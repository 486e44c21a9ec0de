/**
 * Applies the stored theme before the first paint. A file of its own, because the content security policy allows no
 * inline script; src/shell/theme.ts writes what is read here.
 */
try {
  const stored = JSON.parse(localStorage.getItem('wigwag.settings') ?? '{}');
  const theme = stored.state?.theme;
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked or holds something else: the system's theme applies.
}
