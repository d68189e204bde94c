// The Recognize page: pictures come in from wherever people have them, and each becomes an article that fills itself.

import "/static/boxes.js";
import "/static/camera.js";
import "/static/intake.js";
import "/static/takeaway.js";
