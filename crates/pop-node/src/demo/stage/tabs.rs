//! The acts in which viewers in browser tabs take part.

use std::path::Path;

use super::Stage;
use crate::demo::browser::{Audience, VIEWER_PRICE};
use crate::error::NodeError;

impl Stage {
    /// Seat the first viewer in a browser tab, and wait until it has the film; then some who join
    /// it, and wait until they play. `watch` hears how many bytes the first one has.
    ///
    /// # Errors
    /// [`NodeError`]: there is no browser, or the film does not play in it.
    pub async fn open_browser(
        &mut self,
        program: &Path,
        watch: impl FnMut(u64),
    ) -> Result<(), NodeError> {
        self.board.phase("Seating viewers in browser tabs");
        let page = self.page_for(Some(VIEWER_PRICE))?;
        let mut audience = Audience::seat(program, &page, self.report.bytes, watch).await?;
        self.board.say("The first viewer in a browser has the film".to_owned());
        audience.join(&page).await?;
        self.board.say("More viewers joined it".to_owned());
        self.audience = Some(audience);
        Ok(())
    }

    /// Wait until every viewer in a browser saw the end, compare what it has, have it paid, and
    /// close the browser. Does nothing without one.
    ///
    /// # Errors
    /// [`NodeError`]: a viewer does not get to the end.
    pub async fn close_browser(&mut self) -> Result<(), NodeError> {
        let Some(audience) = self.audience.take() else { return Ok(()) };
        self.board.phase("Waiting for the viewers in browser tabs");
        let seen = audience.until_the_end(&self.file).await?;
        self.board.say(format!(
            "{} viewers in browser tabs saw the end: {} stalls",
            seen.browser_viewers, seen.browser_stalls
        ));
        self.report.browser = Some(seen);
        Ok(())
    }

    /// The same page for a viewer who asks `price` of other viewers, in POP for a megabit.
    pub(super) fn page_for(&self, price: Option<&str>) -> Result<String, NodeError> {
        let published = self.published()?;
        let (key, content) = (published.link_key(), published.content);
        let price = price.map(|price| format!("?price={price}")).unwrap_or_default();
        Ok(format!("http://{}/play/{content}{price}#k={key}", self.gateway()?))
    }
}
