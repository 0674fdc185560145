{
  const root = document.documentElement;
  const key = 'abaw-theme';
  const remembered = () => { try { return localStorage.getItem(key); } catch { return null; } };
  const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;
  const show = () => {
    const button = document.getElementById('theme');
    button.textContent = isDark() ? '☀ light' : '☾ dark';
    button.setAttribute('aria-label', isDark() ? 'switch to the light theme' : 'switch to the dark theme');
    document.dispatchEvent(new Event('themechange'));
  };
  if (remembered()) root.dataset.theme = remembered();
  document.getElementById('theme').addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    try { localStorage.setItem(key, root.dataset.theme); } catch { /* a page opened from disk may have no storage */ }
    show();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
  show();
}
