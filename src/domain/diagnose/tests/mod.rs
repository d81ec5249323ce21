mod culprits;
mod latent;
mod properties;
mod table;
mod unread;
