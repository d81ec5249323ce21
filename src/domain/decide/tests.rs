mod escalations;
mod healing;
mod presets;
mod properties;
mod stories;
